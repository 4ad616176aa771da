/** The catalog of Keystone v2 and v3: which URL the object store has in the region and on the interface wanted. */
import { FilestoreError } from '../../base/errors.js';
import type { SwiftSettings } from '../swift-settings.js';
import { field, listField, textField } from './login-request.js';

interface Endpoint {
  readonly region: string;
  readonly interface: string;
  readonly url: string;
}

/** Endpoints of type object-store in `token.catalog` of v3: one entry an interface. */
export function endpointsOfV3(token: unknown): Endpoint[] {
  return objectStores(listField(token, 'catalog')).flatMap((service) =>
    listField(service, 'endpoints').flatMap((entry) => {
      const url = textField(entry, 'url');
      const region = textField(entry, 'region_id') ?? textField(entry, 'region') ?? '';
      return url === undefined ? [] : [{ region, interface: textField(entry, 'interface') ?? 'public', url }];
    }),
  );
}

/** Endpoints of type object-store in `access.serviceCatalog` of v2: one entry a region, a URL for each interface. */
export function endpointsOfV2(access: unknown): Endpoint[] {
  return objectStores(listField(access, 'serviceCatalog')).flatMap((service) =>
    listField(service, 'endpoints').flatMap((entry) =>
      (['public', 'internal', 'admin'] as const).flatMap((name) => {
        const url = textField(entry, `${name}URL`);
        return url === undefined ? [] : [{ region: textField(entry, 'region') ?? '', interface: name, url }];
      }),
    ),
  );
}

function objectStores(catalog: readonly unknown[]): readonly unknown[] {
  return catalog.filter((service) => field(service, 'type') === 'object-store');
}

export function regionsOf(endpoints: readonly Endpoint[]): string[] {
  return [...new Set(endpoints.map((e) => e.region))].sort();
}

/**
 * @param lastUrl what the session before led to
 * @throws FilestoreError bad-config that lists what there is, when the region or the interface is missing, wrong, or must be chosen
 */
export function chooseEndpoint(endpoints: readonly Endpoint[], settings: SwiftSettings, lastUrl?: string): string {
  const regions = regionsOf(endpoints);
  if (endpoints.length === 0) {
    throw new FilestoreError(
      'bad-config',
      'the catalog of this project has no object store (type object-store); ask for Swift, or set storage_url',
    );
  }
  const { region } = settings;
  if (region === undefined && regions.length > 1) {
    const remedy = 'set region (OS_REGION_NAME)';
    throw new FilestoreError('bad-config', `the catalog has an object store in several regions (${regions.join(', ')}); ${remedy}`);
  }
  const here = region === undefined ? endpoints : endpoints.filter((e) => e.region === region);
  if (here.length === 0) {
    const named = regions.filter((name) => name !== '');
    const remedy = named.length === 0 ? 'take region (OS_REGION_NAME) away' : `set region (OS_REGION_NAME) to one of: ${named.join(', ')}`;
    throw new FilestoreError('bad-config', `the catalog has no object store in region "${region ?? ''}"; ${remedy}`);
  }
  const urls = [...new Set(here.filter((e) => e.interface === settings.interface).map(({ url }) => url.replace(/\/+$/, '')))].sort();
  const where = region === undefined ? '' : ` in region "${region}"`;
  // Their order may be another one at the next login, and an account of the same name in the other store has none of our objects.
  if (urls.length > 1) {
    if (lastUrl !== undefined && urls.includes(lastUrl)) return lastUrl;
    const remedy = 'set storage_url to the one that is meant';
    throw new FilestoreError(
      'bad-config',
      `the catalog has several ${settings.interface} object stores${where} (${urls.join(', ')}); ${remedy}`,
    );
  }
  const [found] = urls;
  if (found !== undefined) return assertFilledIn(found);
  const interfaces = [...new Set(here.map((e) => e.interface))].sort().join(', ');
  const remedy = `set interface (OS_INTERFACE) to one of: ${interfaces}`;
  throw new FilestoreError('bad-config', `the catalog has no ${settings.interface} object store${where}; ${remedy}`);
}

/** Keystone fills in the project's id where an endpoint was registered in a way it knows; else its pattern stays. */
function assertFilledIn(url: string): string {
  const pattern = /[%$]\([a-z_]+\)s/.exec(url)?.[0];
  if (pattern === undefined) return url;
  const remedy = 'have the endpoint registered anew, or set storage_url';
  throw new FilestoreError(
    'bad-config',
    `the catalog's URL of the object store still has ${pattern} in the place of an id: ${url}; ${remedy}`,
  );
}
