/** Everything the Swift client is told, as `config` has resolved it from flags, file, environment and clouds.yaml. */
export interface SwiftSettings {
  /** Auth URL: of a v1 (`…/auth/v1.0`), v2 (`…/v2.0`) or v3 (`…/v3`) service, or its root, which is then asked. */
  readonly authUrl?: string;
  /** '1', '2' or '3'; undefined: found from the URL, the credentials given, or by discovery. */
  readonly authVersion?: '1' | '2' | '3';
  readonly username?: string;
  readonly userId?: string;
  readonly password?: string;
  readonly userDomainName?: string;
  readonly userDomainId?: string;
  /** Also what v2 and the 2016 module call tenant_name. */
  readonly projectName?: string;
  readonly projectId?: string;
  readonly projectDomainName?: string;
  readonly projectDomainId?: string;
  readonly applicationCredentialId?: string;
  readonly applicationCredentialName?: string;
  readonly applicationCredentialSecret?: string;
  readonly token?: string;
  /** Overrides the catalog; with `token` no login is made at all. */
  readonly storageUrl?: string;
  readonly region?: string;
  readonly interface: 'public' | 'internal' | 'admin';
  readonly caFile?: string;
  readonly clientCertificateFile?: string;
  readonly clientKeyFile?: string;
  /** Do not check certificates (warned about at the start). */
  readonly insecure: boolean;
  readonly connectTimeoutMs: number;
  /** Longer than Swift's own 10 s (`node_timeout`), or a slow disk there looks like an outage. */
  readonly headersTimeoutMs: number;
  /** Longest silence within a body. */
  readonly stallTimeoutMs: number;
  /** The whole time one call may take with all its retries. */
  readonly requestTimeoutMs: number;
  /** Connections to the storage endpoint. */
  readonly connections: number;
  /** Storage policy of new containers. */
  readonly storagePolicy?: string;
  /** Size of the segments of what exceeds `max_file_size`, in bytes. */
  readonly segmentBytes: number;
  /** Proxy for http:// URLs; may hold a user and a password. */
  readonly httpProxy?: string;
  /** Proxy for https:// URLs. */
  readonly httpsProxy?: string;
  /** Hosts reached without a proxy, by commas. */
  readonly noProxy?: string;
}
