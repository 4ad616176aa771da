/** What a login gives: where the account is, and the token for it. */
export interface Session {
  /** Storage URL of the account, without a trailing slash. */
  readonly storageUrl: string;
  readonly token: string;
  readonly issuedMs: number;
  /** By our own clock, as {@link issuedMs}; undefined where the service does not say. */
  readonly expiresAtMs: number | undefined;
  /** Whose account it is, as the login tells: the project's id, or the account in a v1 user's name. */
  readonly owner: string | undefined;
  readonly report: LoginReport;
}

/**
 * The last part of the storage URL: the same by whichever name, address or path of a proxy the server is reached. Ceph's gateway may have one URL
 * (`…/swift/v1`) for all its accounts, and tell them by the token: there it is the owner.
 */
export function accountOf({ storageUrl, owner }: Pick<Session, 'storageUrl' | 'owner'>): string {
  const last = new URL(storageUrl).pathname.replace(/\/+$/, '').split('/').at(-1) ?? '';
  return owner !== undefined && /^(v1(\.0)?)?$/.test(last) ? `${last}:${owner}` : last;
}

/** What `login --check` shows. No secret is in it. */
export interface LoginReport {
  readonly way: 'v1' | 'v2 password' | 'v2 token' | 'v3 password' | 'v3 application credential' | 'v3 token' | 'ready token';
  readonly authUrl: string | undefined;
  readonly storageUrl: string;
  /** By the clock of the service. */
  readonly expiresAtMs: number | undefined;
  readonly user: string | undefined;
  readonly project: string | undefined;
  readonly roles: readonly string[];
  /** Regions of the catalog that have an object store. */
  readonly regions: readonly string[];
}
