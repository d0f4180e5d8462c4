// Goal: an app runs the topologies that its setting means, or does not start: never none, silently.
import { chosenTopologies } from '../../../functions/chosen-topologies';

const all = [{ name: 'flights' }, { name: 'orders' }, { name: 'trips' }];
const chosen = (setting: string | null): string[] =>
  chosenTopologies(setting, all).map(({ name }) => name);

describe('MILLRACE_TOPOLOGIES', () => {
  it('means all of them when it is not set', () => {
    expect(chosen(null)).toEqual(['flights', 'orders', 'trips']);
  });

  it.each(['trips,flights', 'trips, flights', ' flights , trips ,'])('takes "%s"', (setting) => {
    expect(chosen(setting)).toEqual(['flights', 'trips']);
  });

  it.each(['flghts', 'flights,order', 'flights trips', 'Flights'])('refuses "%s"', (setting) => {
    expect(() => chosen(setting)).toThrow(
      /^STREAM_CONFIGURATION_INVALID: MILLRACE_TOPOLOGIES names .*; there is: flights, orders, trips$/,
    );
  });

  it('refuses a list of nothing', () => {
    expect(() => chosen(' , ')).toThrow('MILLRACE_TOPOLOGIES names no topology');
  });
});
