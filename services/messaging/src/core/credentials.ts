/** Key of an account at a provider. */
export interface AccessKey {
  readonly id: string;
  readonly secret: string;
}

/** Of a file with a JSON object. It throws errors that quote nothing of the content. */
function keyFile(idField: string, secretField: string): (content: string) => AccessKey {
  const rule = `the file must hold a JSON object with ${idField} and ${secretField}`;
  return (content) => {
    let fields: Record<string, unknown>;
    try {
      fields = JSON.parse(content) as Record<string, unknown>;
    } catch {
      throw new Error(rule);
    }
    const { [idField]: id, [secretField]: secret } = fields ?? {};
    if (!isKey(id) || !isKey(secret)) throw new Error(rule);
    return { id, secret };
  };
}

/** Of an SMS provider. */
export const parseAccessKey: (content: string) => AccessKey = keyFile('access_key_id', 'access_key_secret');
/** Of an official account or a mini-program. */
export const parseAppKey: (content: string) => AccessKey = keyFile('app_id', 'app_secret');
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
