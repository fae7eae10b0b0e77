import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

interface Schema {
  properties?: Record<string, unknown>;
}
const description = JSON.parse(readFileSync('../src/api/tests/openapi.json', 'utf8')) as {
  paths: Record<string, Record<string, unknown>>;
  components: { schemas: Record<string, Schema> };
};
const source = readFileSync('src/api.ts', 'utf8');

/** The members that `api.ts` gives the interface `name`. */
function members(name: string): string[] {
  const body = new RegExp(`export interface ${name} \\{([^]*?)\\n\\}`).exec(source)?.[1] ?? '';
  return [...body.matchAll(/^ {2}(\w+)\??:/gm)].map((match) => match[1]!);
}

describe('api.ts', () => {
  const schemas = description.components.schemas;

  it.each([
    ['Video', 'VideoView'],
    ['Playback', 'Playback'],
    ['VideoEdit', 'VideoPatch'],
  ])('%s has members that the server describes', (name, schema) => {
    const described = Object.keys(schemas[schema]?.properties ?? {});
    expect(members(name).length).toBeGreaterThan(2);
    expect(described).toEqual(expect.arrayContaining(members(name)));
  });

  it('calls paths that the server describes', () => {
    const called = [...source.matchAll(/'(GET|POST|PATCH|DELETE)', [`'](\/api\/v1[^`'?]*?)(?:\$\{cursor|\?|[`'])/g)];
    expect(called.length).toBeGreaterThan(4);
    for (const [, method, path] of called) {
      const described = description.paths[path!.replace('${id}', '{id}')];
      expect(described, path).toHaveProperty(method!.toLowerCase());
    }
  });
});
