/** A real Swift behind a proxy that can fail: `before(async () => { ({ swift, proxy } = await withProxiedSwift()); })`, `after(() => swift.stop())`. */
import { FaultProxy } from './fault-proxy.js';
import { withSwift, type Swift } from './with-swift.js';

export interface ProxiedSwift {
  readonly swift: Swift;
  readonly proxy: FaultProxy;
}

/** @returns the proxy, and the Swift, whose `stop` ends both */
export async function withProxiedSwift(): Promise<ProxiedSwift> {
  const swift = await withSwift();
  const proxy = await FaultProxy.start(swift.url);
  const stop = async (): Promise<void> => {
    await proxy.close();
    await swift.stop();
  };
  return { swift: { ...swift, stop }, proxy };
}
