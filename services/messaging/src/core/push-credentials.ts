/** What Firebase gives out for a server: the JSON file of a service account. */
export interface ServiceAccount {
  readonly projectId: string;
  readonly email: string;
  /** PEM, PKCS #8. */
  readonly privateKey: string;
  readonly keyId: string;
  /** Where tokens are had. */
  readonly tokenUri: string;
}

/** What push services of browsers know a shop by. */
export interface VapidKeys {
  /** mailto: or https: where they can write to. */
  readonly subject: string;
  /** Both base64url. */
  readonly publicKey: string;
  readonly privateKey: string;
}

const ACCOUNT = 'the file must hold a service account: JSON with project_id, client_email, private_key and token_uri';
const VAPID =
  'the file must hold a JSON object with subject (mailto: or https:), public_key and private_key (base64url)';
const PEM = /^-----BEGIN PRIVATE KEY-----[\sA-Za-z0-9+/=]{1,4000}-----END PRIVATE KEY-----\s*$/;

/** @throws Error that quotes nothing of the content */
export function parseServiceAccount(content: string): ServiceAccount {
  const { project_id, client_email, private_key, private_key_id = '', token_uri } = fieldsOf(content, ACCOUNT);
  const isRight =
    matches(project_id, /^[a-z0-9-]{4,64}$/) &&
    matches(client_email, /^[^\s@]{1,128}@[^\s@]{1,128}$/) &&
    matches(private_key, PEM) &&
    matches(private_key_id, /^[\w-]{0,128}$/) &&
    matches(token_uri, /^https?:\/\/\S{1,200}$/);
  if (!isRight) throw new Error(ACCOUNT);
  return {
    projectId: String(project_id),
    email: String(client_email),
    privateKey: String(private_key),
    keyId: String(private_key_id),
    tokenUri: String(token_uri),
  };
}

/** A .p8 file of Apple's. @throws Error that quotes nothing of the content */
export function parsePrivateKey(content: string): string {
  if (!PEM.test(content)) throw new Error('the file must hold a private key in PEM (.p8)');
  return content;
}

/** @throws Error that quotes nothing of the content */
export function parseVapidKeys(content: string): VapidKeys {
  const { subject, public_key, private_key } = fieldsOf(content, VAPID);
  const isRight =
    matches(subject, /^(mailto:|https:\/\/)\S{3,200}$/) &&
    matches(public_key, /^[\w-]{87}$/) &&
    matches(private_key, /^[\w-]{43}$/);
  if (!isRight) throw new Error(VAPID);
  return { subject: String(subject), publicKey: String(public_key), privateKey: String(private_key) };
}

function matches(value: unknown, pattern: RegExp): boolean {
  return typeof value === 'string' && pattern.test(value);
}

function fieldsOf(content: string, rule: string): Record<string, unknown> {
  try {
    return (JSON.parse(content) as Record<string, unknown> | null) ?? {};
  } catch {
    throw new Error(rule);
  }
}
