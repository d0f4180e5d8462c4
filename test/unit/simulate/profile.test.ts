// Goal: a load profile is read as it is meant, or refused with its line and what to do.
import {
  builtInProfile,
  builtInProfiles,
  parseProfile,
} from '../../../local/scaler/simulation/profile';

const header = 'second,eventsPerSecond';

describe('parseProfile', () => {
  it.each([
    ['one second', `${header}\n0,5`, [5]],
    ['rates that hold', `${header}\n0,5\n3,7.5\n4,0`, [5, 5, 5, 7.5, 0]],
    ['blank lines, spaces, CRLF, a mark', `\uFEFF${header}\r\n0, 1e3\r\n\r\n1,2\r\n`, [1_000, 2]],
  ])('reads %s', (_name, text, expected) => {
    expect(Array.from(parseProfile('load.csv', text).eventsPerSecond)).toEqual(expected);
  });

  it.each([
    ['', 'load.csv:1: the first line must be "second,eventsPerSecond"'],
    ['0,5', 'load.csv:1: the first line must be'],
    [header, 'load.csv:2: there is no line after the header'],
    [`${header}\n0,1\n5`, 'load.csv:3: two fields are needed, not "5"'],
    [`${header}\n0,1\n5,1,1`, 'load.csv:3: two fields are needed'],
    [`${header}\n1,1`, 'load.csv:2: the first second must be 0'],
    [`${header}\n0,1\n0.5,1`, 'load.csv:3: the second must be a whole number'],
    [`${header}\n0,1\n1700000000000,1`, 'load.csv:3: the second must be a whole number from 0 to'],
    [`${header}\n0,1\n\n9,1\n9,2`, 'load.csv:5: seconds must ascend: 9 comes after 9'],
    [`${header}\n0,-1`, 'load.csv:2: events per second must be a number and not negative'],
    [`${header}\n0,many`, 'load.csv:2: events per second must be a number'],
    [`${header}\n0,`, 'load.csv:2: events per second must be a number'],
    [`${header}\n0,Infinity`, 'load.csv:2: events per second must be a number'],
  ])('refuses %j', (text, message) => {
    expect(() => parseProfile('load.csv', text)).toThrow(message);
  });
});

describe('built-in profiles', () => {
  it.each([
    ['spike', 3_600, 100],
    ['daily', 86_400, 200],
    ['ramp', 7_200, 0],
  ])('%s lasts %d s and goes from %d to the peak of 1000', (name, seconds, least) => {
    const rates = builtInProfile(name, 1_000)?.eventsPerSecond ?? new Float64Array(0);
    expect(rates).toHaveLength(seconds);
    expect(Math.max(...rates)).toBeCloseTo(1_000);
    expect(Math.min(...rates)).toBeCloseTo(least);
  });

  it('are those that are named, and no property of every object', () => {
    expect(builtInProfiles).toEqual(['spike', 'daily', 'ramp']);
    expect(builtInProfile('constructor', 1)).toBeNull();
  });
});
