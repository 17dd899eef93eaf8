import { createECDH, type ECDH, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';

/** What a server is given to push with, as the files it reads, and the other half, which checks. Made anew in each process. */
export interface PushAccounts {
  /** Contents of FCM_SERVICE_ACCOUNT_FILE, APNS_KEY_FILE and VAPID_KEYS_FILE. */
  readonly serviceAccount: string;
  readonly apnsKey: string;
  readonly vapidKeys: string;
  readonly fcmKey: KeyObject;
  readonly apnsPublicKey: KeyObject;
  readonly vapidPublicKey: string;
}

export const FCM_PROJECT = 'simulated-project';
export const FCM_EMAIL = 'recur@simulated-project.iam.gserviceaccount.com';
export const APNS = { keyId: 'SIMULATED1', teamId: 'SIMULATED2', topic: 'example.shop.app' } as const;

/** @param url where the simulator is */
export function makeAccounts(url: string): PushAccounts {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const vapid = createECDH('prime256v1');
  const vapidPublicKey = vapid.generateKeys('base64url');
  const pem = (key: KeyObject) => String(key.export({ type: 'pkcs8', format: 'pem' }));
  const account = { type: 'service_account', project_id: FCM_PROJECT, client_email: FCM_EMAIL, private_key_id: 'k1' };
  return {
    serviceAccount: JSON.stringify({ ...account, private_key: pem(rsa.privateKey), token_uri: `${url}/oauth2/token` }),
    apnsKey: pem(ec.privateKey),
    vapidKeys: JSON.stringify({
      subject: 'mailto:shop@shop.example',
      public_key: vapidPublicKey,
      private_key: vapid.getPrivateKey().toString('base64url').padStart(43, 'A'),
    }),
    ...{ fcmKey: rsa.publicKey, apnsPublicKey: ec.publicKey, vapidPublicKey },
  };
}

/** A browser that was subscribed: what it gave out, and what it reads messages with. */
export class Browser {
  readonly id: string;
  readonly ecdh: ECDH = createECDH('prime256v1');
  readonly auth: Buffer = randomBytes(16);

  constructor(id: string) {
    this.id = id;
    this.ecdh.generateKeys();
  }

  /** @param host of the push service: https://host */
  subscription(host: string): { endpoint: string; keys: { p256dh: string; auth: string } } {
    const keys = { p256dh: this.ecdh.getPublicKey('base64url'), auth: this.auth.toString('base64url') };
    return { endpoint: `${host}/push/${this.id}`, keys };
  }
}
