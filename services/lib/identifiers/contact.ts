import { type CountryCode, isSupportedCountry, parsePhoneNumberFromString } from 'libphonenumber-js/min';
import { Recent } from '#lib/recent/recent.ts';

const EMAIL = /^[^\s@"(),:;<>[\\\]]{1,64}@(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.)+[\p{L}\p{N}-]{2,63}$/u;
const ASCII_EMAIL = /^[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$/;

/** The one form of an e-mail address; undefined when it is none. */
export function normaliseEmail(value: string): string | undefined {
  const email = value.trim().toLowerCase();
  if (email.length > 254 || !(ASCII_EMAIL.test(email) || EMAIL.test(email))) return undefined;
  const dot = email.startsWith('.') || email.includes('..') || email.includes('.@');
  return dot ? undefined : email;
}

export function isCountry(code: string): boolean {
  return isSupportedCountry(code);
}

/** E.164 of phone numbers as people write them; customers come again and again, so verdicts are kept. */
export class PhoneBook {
  readonly #country: CountryCode;
  readonly #known = new Recent<string>(10_000);

  /** @param country ISO 3166 alpha-2, of numbers without a country code */
  constructor(country: string) {
    this.#country = country as CountryCode;
  }

  /** Undefined when no such number can exist. */
  normalise(value: string): string | undefined {
    if (value.length > 40) return undefined;
    const known = this.#known.get(value);
    if (known !== undefined) return known === '' ? undefined : known;
    const parsed = parsePhoneNumberFromString(value, this.#country);
    const e164 = parsed?.isValid() ? parsed.number : '';
    this.#known.set(value, e164);
    return e164 === '' ? undefined : e164;
  }
}
