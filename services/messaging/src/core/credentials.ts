/** Key of an account at a provider. */
export interface AccessKey {
  readonly id: string;
  readonly secret: string;
}

/** What an app at WeChat signs with what it pushes to its server. */
export interface PushKeys {
  readonly token: string;
  /** With it messages are encrypted, and others refused. */
  readonly aesKey?: Buffer | undefined;
}

/** Of an official account or a mini-program. */
export interface AppKey extends AccessKey {
  /** Undefined: nothing is pushed to us. */
  readonly push?: PushKeys | undefined;
}

/** Of a file with a JSON object. It throws errors that quote nothing of the content. */
function keyFile(idField: string, secretField: string): (content: string) => AccessKey {
  const rule = `the file must hold a JSON object with ${idField} and ${secretField}`;
  return (content) => {
    const { [idField]: id, [secretField]: secret } = fieldsOf(content, rule);
    if (!isKey(id) || !isKey(secret)) throw new Error(rule);
    return { id, secret };
  };
}

function fieldsOf(content: string, rule: string): Record<string, unknown> {
  try {
    return (JSON.parse(content) as Record<string, unknown> | null) ?? {};
  } catch {
    throw new Error(rule);
  }
}

/** Of an SMS provider. */
export const parseAccessKey: (content: string) => AccessKey = keyFile('access_key_id', 'access_key_secret');
const parseApp = keyFile('app_id', 'app_secret');

/** Of an official account or a mini-program: also `token` and `encoding_aes_key`, as they stand beside its server's address. */
export function parseAppKey(content: string): AppKey {
  const app = parseApp(content);
  const { token, encoding_aes_key: aesKey } = fieldsOf(content, '');
  if (token === undefined && aesKey === undefined) return app;
  if (typeof token !== 'string' || !/^[A-Za-z0-9]{3,32}$/.test(token))
    throw new Error('token must be 3 to 32 letters and digits');
  if (aesKey === undefined) return { ...app, push: { token } };
  if (typeof aesKey !== 'string' || !/^[A-Za-z0-9]{43}$/.test(aesKey))
    throw new Error('encoding_aes_key must be 43 letters and digits');
  return { ...app, push: { token, aesKey: Buffer.from(`${aesKey}=`, 'base64') } };
}
/** Of a company at WeCom. */
export const parseCorpKey: (content: string) => AccessKey = keyFile('corp_id', 'corp_secret');

function isKey(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]{1,256}$/.test(value);
}

/** One a line. @throws Error that quotes nothing of the content */
export function parseWebhookSecrets(content: string): readonly string[] {
  const secrets = content.split(/\s+/).filter((line) => line !== '');
  // 24 to 64 bytes, as the specification says.
  const good = secrets.every((secret) => /^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/.test(secret));
  if (secrets.length === 0 || secrets.length > 4 || !good)
    throw new Error('the file must hold 1 to 4 secrets, one a line: "whsec_" and 24 to 64 bytes in base64');
  return secrets;
}
