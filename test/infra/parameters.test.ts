// Goal: azd, the portal's form and the template speak of the same parameters.
import { evaluateText } from './support/arm-expression';
import { pureFunctions } from './support/arm-functions';
import { read, readJson, template } from './support/template';

const names = new Set(Object.keys(template.parameters ?? {}));

function parametersOf(bicep: string): Map<string, boolean> {
  const found = read(bicep).matchAll(/^param (\w+) [^=\n]+(=)?/gm);
  return new Map(Array.from(found, ([, name, assigned]) => [name ?? '', assigned !== undefined]));
}

describe('infra/main.parameters.json', () => {
  const given = readJson<{ parameters: Record<string, { value: string }> }>(
    'infra/main.parameters.json',
  ).parameters;
  const declared = parametersOf('infra/main.bicep');

  it('gives main.bicep what it asks for and nothing else', () => {
    expect(Object.keys(given).filter((name) => !declared.has(name))).toEqual([]);
    const missing = Array.from(declared).filter(
      ([name, hasDefault]) => !hasDefault && !(name in given),
    );
    expect(missing).toEqual([]);
  });

  it('says the same defaults as the template', () => {
    for (const [name, { value }] of Object.entries(given)) {
      const fallback = value.match(/^\$\{\w+=(.*)\}$/)?.[1];
      if (fallback === undefined) continue;
      expect([name, fallback]).toEqual([name, String(template.parameters?.[name]?.defaultValue)]);
    }
  });

  it('is passed on whole', () => {
    expect(Array.from(declared.keys()).filter((name) => !names.has(name))).toEqual([]);
    const passed = Array.from(
      read('infra/main.bicep').matchAll(/^ {4}(\w+): /gm),
      ([, name]) => name,
    );
    expect(passed.sort()).toEqual([...declared.keys(), 'resourceToken'].sort());
  });
});

describe('infra/createUiDefinition.json', () => {
  interface Element {
    readonly name: string;
    readonly defaultValue: unknown;
    readonly constraints?: {
      readonly regex?: string;
      readonly allowedValues?: readonly { readonly label: string; readonly value: unknown }[];
    };
  }
  const { basics, outputs, steps } = readJson<{
    parameters: {
      basics: Element[];
      steps: { name: string; elements: Element[] }[];
      outputs: Record<string, string>;
    };
  }>('infra/createUiDefinition.json').parameters;

  it('answers parameters of the template only', () => {
    expect(Object.keys(outputs).filter((name) => !names.has(name))).toEqual([]);
  });

  it('asks nothing whose answer is lost, and uses no answer that is not asked', () => {
    const asked = [
      ...basics.map(({ name }) => `basics('${name}')`),
      ...steps.flatMap(({ elements, name }) =>
        elements.map((one) => `steps('${name}').${one.name}`),
      ),
    ];
    const used = Object.values(outputs).flatMap((text) =>
      Array.from(text.matchAll(/basics\('\w+'\)|steps\('\w+'\)\.\w+/g), ([whole]) => whole),
    );
    expect(used.sort()).toEqual(asked.sort());
  });

  it('says the same defaults as the template', () => {
    const answers = Object.fromEntries(
      steps.map(({ elements, name }) => [
        name,
        Object.fromEntries(elements.map((one) => [one.name, answer(one)])),
      ]),
    );
    const meaning = {
      call: (name: string, args: readonly { value(): unknown }[]) => {
        const first = args[0]?.value();
        if (name === 'steps') return answers[String(first)] as never;
        if (name === 'basics') {
          return answer(basics.find((one) => one.name === first) as Element) as never;
        }
        if (name === 'coalesce') return first as never;
        const known = pureFunctions[name];
        if (known === undefined) throw new Error(`the form calls ${name}()`);
        return known(args as never);
      },
    };
    for (const [name, text] of Object.entries(outputs)) {
      if (name === 'location') continue;
      const value = evaluateText(text, meaning);
      // In a fork: the newest release, which `npm run deploy-button` writes.
      const release =
        /^https:\/\/github\.com\/[\w-]+\/[\w.-]+\/releases\/latest\/download\/millrace\.zip$/;
      if (name === 'packageUri' && release.test(String(value))) continue;
      expect([name, value]).toEqual([name, template.parameters?.[name]?.defaultValue]);
    }
  });

  /** What a form gives that is sent off untouched. A drop-down's default names a label. */
  function answer({ constraints, defaultValue }: Element): unknown {
    const chosen = constraints?.allowedValues?.find(({ label }) => label === defaultValue);
    if (constraints?.allowedValues !== undefined && chosen === undefined) {
      throw new Error(`no choice is labelled ${String(defaultValue)}`);
    }
    return chosen?.value ?? defaultValue ?? '';
  }

  it('has patterns that are patterns and take the default', () => {
    for (const one of [...basics, ...steps.flatMap(({ elements }) => elements)]) {
      const { regex } = one.constraints ?? {};
      if (regex !== undefined) expect(String(answer(one))).toMatch(new RegExp(regex));
    }
  });
});
