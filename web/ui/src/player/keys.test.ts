import { describe, expect, it } from 'vitest';
import { actionOf } from './keys.js';

const press = (key: string, tagName = 'MEDIA-CONTROLLER', extra: object = {}) =>
  actionOf({ key, ctrlKey: false, altKey: false, metaKey: false, target: { tagName } as unknown as EventTarget, ...extra });

describe('keys', () => {
  it('do what viewers expect', () => {
    expect(press(' ')).toEqual({ do: 'toggle' });
    expect(press('k')).toEqual({ do: 'toggle' });
    expect(press('j')).toEqual({ do: 'skip', seconds: -10 });
    expect(press('ArrowRight')).toEqual({ do: 'skip', seconds: 5 });
    expect(press('4')).toEqual({ do: 'jump', fraction: 0.4 });
    expect(press('>')).toEqual({ do: 'rate', by: 0.25 });
    expect(press('q')).toBeNull();
  });

  it('stay with whoever types, chooses or holds a modifier', () => {
    expect(press('k', 'INPUT')).toBeNull();
    expect(press('m', 'SELECT')).toBeNull();
    expect(press('f', 'DIV', { ctrlKey: true })).toBeNull();
    expect(press(' ', 'MEDIA-MUTE-BUTTON')).toBeNull();
    expect(press('ArrowLeft', 'MEDIA-TIME-RANGE')).toBeNull();
  });
});
