import { describe, expect, it, vi } from 'vitest';

vi.mock('../api.js', () => ({ videos: {} }));
const { Lease } = await import('./lease.js');

function origin(life: number | null) {
  let now = 0;
  let count = 0;
  const fetch = vi.fn(async (_id: string, _version: string) => ({
    url: `/v/a/${count}/multivariant.m3u8`,
    token: life === null ? null : `token ${count++}`,
    foreign_url: '/t/x',
    expires_at: life === null ? null : now + life,
  }));
  return { fetch, now: () => now, pass: (ms: number) => (now += ms) };
}

const settled = () => new Promise((resolve) => setTimeout(resolve));

describe('a lease', () => {
  it('is renewed behind half of its life, without anybody waiting', async () => {
    const { fetch, now, pass } = origin(600);
    const lease = new Lease('a', await fetch('a', ''), fetch, now);
    pass(299);
    expect(await lease.token()).toBe('token 0');
    expect(fetch).toHaveBeenCalledTimes(1);
    pass(1);
    expect(await lease.token()).toBe('token 0');
    await settled();
    expect(await lease.token()).toBe('token 1');
    expect(fetch).toHaveBeenCalledTimes(2);
  });

  it('is waited for when it is over, once for all who wait', async () => {
    const { fetch, now, pass } = origin(600);
    const lease = new Lease('a', await fetch('a', ''), fetch, now);
    pass(601);
    expect(await Promise.all([lease.token(), lease.token()])).toEqual(['token 1', 'token 1']);
    expect(fetch).toHaveBeenCalledTimes(2);
  });

  it('keeps the URL that the player has begun with, and asks for its version', async () => {
    const { fetch, now } = origin(600);
    const lease = new Lease('a', await fetch('a', ''), fetch, now);
    await lease.renew();
    expect(lease.url).toBe('/v/a/0/multivariant.m3u8');
    await lease.renew();
    expect(fetch.mock.calls.slice(1)).toEqual([
      ['a', '0'],
      ['a', '0'],
    ]);
  });

  it('of a free video needs neither token nor renewal', async () => {
    const { fetch, now, pass } = origin(null);
    const lease = new Lease('a', await fetch('a', ''), fetch, now);
    pass(1e9);
    expect(await lease.token()).toBeNull();
    expect(fetch).toHaveBeenCalledTimes(1);
  });
});
