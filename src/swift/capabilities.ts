/**
 * What /info says of this Swift: limits and middleware. It needs no token, is asked once when first wanted, and where it is closed or
 * absent (it may be turned off) the least is assumed.
 */
import type { Clock } from '../base/clock.js';
import { field, listField, parseJson, textField } from './login/login-request.js';
import { exchange, readText, stopOf, type RequestDispatcher } from './requests/wire.js';

export interface SwiftInfo {
  /** Undefined when it is not said (Ceph names it differently). */
  readonly version: string | undefined;
  readonly maxFileBytes: number;
  /** Names a bulk delete may hold; undefined where there is none. */
  readonly bulkDeleteNames: number | undefined;
  readonly staticLargeObjects: boolean;
  readonly maxSegments: number;
  readonly storagePolicies: readonly string[];
  readonly middleware: readonly string[];
}

/** Swift's own default: 5 GiB and 2 bytes. */
const DEFAULT_MAX_FILE_BYTES = 5 * 2 ** 30 + 2;
const INFO_LIMIT_BYTES = 1 << 20;
const ASK_AGAIN_MS = 300_000;
const TIMEOUT_MS = 10_000;

const UNKNOWN: SwiftInfo = {
  version: undefined,
  maxFileBytes: DEFAULT_MAX_FILE_BYTES,
  bulkDeleteNames: undefined,
  staticLargeObjects: true,
  maxSegments: 1000,
  storagePolicies: [],
  middleware: [],
};

export class Capabilities {
  readonly #dispatcher: RequestDispatcher;
  readonly #clock: Clock;
  readonly #userAgent: string;
  readonly #storageUrl: () => Promise<string>;
  #known: SwiftInfo | undefined;
  #flight: Promise<SwiftInfo> | undefined;
  #askAgainMs = 0;

  constructor(dispatcher: RequestDispatcher, clock: Clock, userAgent: string, storageUrl: () => Promise<string>) {
    this.#dispatcher = dispatcher;
    this.#clock = clock;
    this.#userAgent = userAgent;
    this.#storageUrl = storageUrl;
  }

  /** Never throws: what cannot be learnt now is assumed, and asked again after five minutes. */
  info(): Promise<SwiftInfo> {
    if (this.#known !== undefined) return Promise.resolve(this.#known);
    if (this.#clock.nowMs() < this.#askAgainMs) return Promise.resolve(UNKNOWN);
    this.#flight ??= this.#ask().finally(() => (this.#flight = undefined));
    return this.#flight;
  }

  async #ask(): Promise<SwiftInfo> {
    try {
      const url = new URL(await this.#storageUrl());
      // The account is at …/v1/ACCOUNT, /info beside the /v1 (Ceph: /swift/v1 and /swift/info).
      const path = `${url.pathname.replace(/\/v1(\.0)?(\/.*)?$/, '')}/info`;
      const { status, body } = await exchange(this.#dispatcher, {
        method: 'GET',
        origin: url.origin,
        path,
        headers: { 'user-agent': this.#userAgent },
        stop: stopOf(AbortSignal.timeout(TIMEOUT_MS)),
      });
      const text = await readText(body, INFO_LIMIT_BYTES);
      const parsed = status === 200 ? parseJson(text) : undefined;
      // Something else may have an /info too, or JSON for everything.
      if (field(parsed, 'swift') !== undefined) return (this.#known = infoOf(parsed));
    } catch {
      // The caller goes on with the least assumed; if Swift is away, its own request will say so.
    }
    this.#askAgainMs = this.#clock.nowMs() + ASK_AGAIN_MS;
    return UNKNOWN;
  }
}

function infoOf(parsed: unknown): SwiftInfo {
  const swift = field(parsed, 'swift');
  const bulk = field(parsed, 'bulk_delete');
  const slo = field(parsed, 'slo');
  return {
    version: textField(swift, 'version'),
    maxFileBytes: numberField(swift, 'max_file_size') ?? DEFAULT_MAX_FILE_BYTES,
    bulkDeleteNames: atLeastOne(bulk === undefined ? undefined : (numberField(bulk, 'max_deletes_per_request') ?? 1000)),
    staticLargeObjects: slo !== undefined,
    maxSegments: numberField(slo, 'max_manifest_segments') ?? 1000,
    storagePolicies: listField(swift, 'policies').flatMap((policy) => textField(policy, 'name') ?? []),
    middleware: Object.keys(parsed as object).sort(),
  };
}

/** Names that go in packets of none never end. */
function atLeastOne(most: number | undefined): number | undefined {
  return most === undefined || most < 1 ? undefined : Math.floor(most);
}

function numberField(value: unknown, name: string): number | undefined {
  const found = field(value, name);
  return typeof found === 'number' && Number.isFinite(found) ? found : undefined;
}
