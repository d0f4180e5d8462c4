// Goal: an app runs the topologies that its setting names, or says which name is wrong: it once ran
// none of a name with a space before it, and said nothing.
import { chosenTopologies } from '../../../functions/chosen-topologies';

const known = ['flights', 'trades', 'orders'];

it.each([
  [null, known],
  ['trades', ['trades']],
  ['flights, trades ', ['flights', 'trades']],
  ['orders,,', ['orders']],
])('of %j runs %j', (setting, names) => {
  expect(known.filter(chosenTopologies(setting, known))).toEqual(names);
});

it('says which name is wrong, and which there are', () => {
  expect(() => chosenTopologies('flights,flihgts', known)).toThrow(
    'STREAM_CONFIGURATION_INVALID: MILLRACE_TOPOLOGIES names flihgts, there is: flights, trades, orders',
  );
});
