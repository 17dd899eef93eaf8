import { createPublicKey, type KeyObject, verify } from 'node:crypto';

/** Claims and head of a JWT whose signature is right; undefined otherwise. */
export function readJwt(
  token: string,
  key: KeyObject,
  alg: 'RS256' | 'ES256',
): { head: Record<string, unknown>; claims: Record<string, unknown> } | undefined {
  const [head = '', claims = '', signature = ''] = token.split('.');
  try {
    const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
    const signed = Buffer.from(`${head}.${claims}`);
    const how = alg === 'ES256' ? ({ key, dsaEncoding: 'ieee-p1363' } as const) : key;
    if (read(head).alg !== alg || !verify('sha256', signed, how, Buffer.from(signature, 'base64url'))) return undefined;
    return { head: read(head), claims: read(claims) };
  } catch {
    return undefined;
  }
}

/** An uncompressed point of P-256 in base64url as a key. */
export function pointKey(point: string): KeyObject {
  const bytes = Buffer.from(point, 'base64url');
  const [x, y] = [bytes.subarray(1, 33), bytes.subarray(33, 65)].map((half) => half.toString('base64url'));
  return createPublicKey({ key: { kty: 'EC', crv: 'P-256', x: x ?? '', y: y ?? '' }, format: 'jwk' });
}
