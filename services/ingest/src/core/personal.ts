import { ADDRESS_KINDS } from '#lib/channels/channels.ts';
import { BUILT_IN_TYPES } from '#lib/identifiers/types.ts';

/**
 * Names of what is personal, in lower case without "_", "-", "." and spaces: `firstName`, `first_name` and `First Name` are
 * the same.
 */
const ALWAYS_PERSONAL = [
  ...ADDRESS_KINDS.map(plain),
  ...BUILT_IN_TYPES.map(({ id }) => plain(id)),
  ...['email', 'emailaddress', 'mail', 'phone', 'phonenumber', 'mobile', 'mobilephone', 'telephone', 'tel'],
  ...['firstname', 'lastname', 'middlename', 'fullname', 'realname', 'surname', 'givenname', 'familyname', 'forename'],
  ...['姓名', '姓', '名', '名字', '手机', '手机号', '电话', '邮箱'],
  ...['地址', '详细地址', '收货地址', '生日', '出生日期', '身份证', '身份证号'],
  ...['address1', 'address2', 'address3', 'streetnumber', 'housenumber'],
  ...[
    'address',
    'shippingaddress',
    'billingaddress',
    'homeaddress',
    'street',
    'streetaddress',
    'addressline1',
    'addressline2',
  ],
  ...[
    'birthday',
    'birthdate',
    'dateofbirth',
    'dob',
    'idcard',
    'idcardno',
    'idnumber',
    'nationalid',
    'passport',
    'passportno',
  ],
  ...['receivername', 'receiverphone', 'receivermobile', 'receiveraddress', 'recipientname', 'consignee'],
  ...['wechatid', 'wechatopenid', 'wechatunionid', 'wxopenid', 'wxunionid', 'membernumber', 'membercardno'],
  ...['会员号', '会员卡号', '微信号', 'imei', 'idfa', 'oaid', 'androidid'],
];

/** Beginnings of names that are personal however they go on: `openid_wx123`. */
const FAMILIES = BUILT_IN_TYPES.filter((type) => type.family).map(({ id }) => plain(id));

/** These say something about a person only as a trait: elsewhere a product or a campaign has a name as well. */
const PERSONAL_TRAITS = ['name', 'username', 'nickname', 'avatar', 'photo'];

const MAX_KNOWN = 10_000;

/** Remembers the verdict on each name as it is written, so that most cost one look-up. */
class NameSet {
  readonly #names: ReadonlySet<string>;
  readonly #known = new Map<string, boolean>();

  constructor(names: Iterable<string>) {
    this.#names = new Set(names);
  }

  has(name: string): boolean {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const written = plain(name);
    const verdict = this.#names.has(written) || FAMILIES.some((family) => written.startsWith(family));
    // Names come from senders: start over rather than grow without end.
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    if (name.length <= 64) this.#known.set(name, verdict);
    return verdict;
  }
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[_\-. ]/g, '');
}

const properties = new NameSet(ALWAYS_PERSONAL);

/** Whether a property of this name, at any depth, must not be stored as it is. */
export function isPersonalProperty(name: string): boolean {
  return properties.has(name);
}

/** Which traits are sealed: those that are personal anyway, and what the shop adds. */
export function personalTraits(added: Iterable<string>): { has(name: string): boolean } {
  return new NameSet([...ALWAYS_PERSONAL, ...PERSONAL_TRAITS, ...[...added].map(plain)]);
}

/** Takes out everything personal below `value`. */
export function dropPersonal(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    for (const item of value) dropPersonal(item);
    return;
  }
  const object = value as Record<string, unknown>;
  for (const key in object) {
    // JSON.stringify leaves out what is undefined; deleting would make the object slow.
    if (isPersonalProperty(key)) object[key] = undefined;
    else dropPersonal(object[key]);
  }
}

/** Whether something below `value` is personal. */
export function holdsPersonal(value: unknown, isPersonal: (name: string) => boolean = isPersonalProperty): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return value.some((item) => holdsPersonal(item, isPersonal));
  return Object.entries(value).some(([key, item]) => isPersonal(key) || holdsPersonal(item, isPersonal));
}
