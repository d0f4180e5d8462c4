import { evaluateText, memberOf, type Argument, type Json } from './arm-expression';
import { pureFunctions, resourceId } from './arm-functions';

export interface Template {
  readonly parameters?: Readonly<Record<string, { readonly defaultValue?: Json }>>;
  readonly variables?: Readonly<Record<string, Json>>;
  readonly resources: readonly TemplateResource[] | Readonly<Record<string, TemplateResource>>;
  readonly outputs?: Readonly<Record<string, { readonly value: Json }>>;
}

export interface TemplateResource {
  readonly type: string;
  readonly apiVersion: string;
  readonly name: string;
  readonly existing?: boolean;
  readonly condition?: Json;
  readonly copy?: { readonly name: string; readonly count: Json };
  readonly dependsOn?: readonly string[];
  readonly properties?: Readonly<Record<string, Json>>;
  readonly [field: string]: unknown;
}

/** A resource with every expression evaluated, as the platform would be asked to make it. */
export interface Resource {
  readonly type: string;
  readonly name: string;
  readonly apiVersion: string;
  readonly scope?: string;
  readonly [field: string]: unknown;
}

/** What a resource says of itself once it exists: invented, but with the shape of the real one. */
function stateOf(id: string): Json {
  const name = id.split('/').at(-1) ?? '';
  return {
    clientId: `client-of-${name}`,
    principalId: `principal-of-${name}`,
    ConnectionString: `InstrumentationKey=of-${name}`,
    serviceBusEndpoint: `https://${name}.servicebus.windows.net:443/`,
    endpoint: `https://${name}.somewhere.durabletask.io`,
    defaultHostName: `${name}.azurewebsites.net`,
    primaryEndpoints: { blob: `https://${name}.blob.core.windows.net/` },
  };
}

/**
 * Evaluates a compiled template with its modules, in the order in which they need one another.
 * Throws where an expression names what is not there, or modules wait for each other.
 */
export class Deployment {
  readonly resources: Resource[] = [];
  readonly #template: Template;
  readonly #parameters: Readonly<Record<string, Json>>;
  readonly #modules = new Map<string, Deployment>();
  readonly #begun = new Set<string>();

  constructor(template: Template, parameters: Readonly<Record<string, Json>> = {}) {
    this.#template = template;
    this.#parameters = parameters;
    for (const name of Object.keys(parameters)) {
      if (template.parameters?.[name] === undefined) throw new Error(`no parameter ${name}`);
    }
    for (const symbol of this.#symbols()) this.#deploy(symbol);
  }

  output(name: string): Json {
    const output = this.#template.outputs?.[name];
    if (output === undefined) throw new Error(`no output is called ${name}`);
    return this.#evaluate(output.value, 0);
  }

  #symbols(): string[] {
    return Object.keys(this.#template.resources);
  }

  #resource(symbol: string): TemplateResource {
    const resource = (this.#template.resources as Record<string, TemplateResource>)[symbol];
    if (resource === undefined) throw new Error(`no resource is called ${symbol}`);
    return resource;
  }

  #deploy(symbol: string): void {
    if (this.#begun.has(symbol)) return;
    this.#begun.add(symbol);
    const { condition = true, copy, existing, ...resource } = this.#resource(symbol);
    if (existing === true) return;
    const count = copy === undefined ? 1 : Number(this.#evaluate(copy.count, 0));
    for (let index = 0; index < count; index += 1) {
      if (this.#evaluate(condition, index) !== true) continue;
      if (resource.type === 'Microsoft.Resources/deployments') {
        this.#deployModule(symbol, resource, index);
      } else {
        const asked = Object.fromEntries(
          Object.entries(resource).filter(([field]) => field !== 'dependsOn'),
        );
        this.resources.push(this.#evaluate(asked as unknown as Json, index) as unknown as Resource);
      }
    }
  }

  #deployModule(symbol: string, resource: TemplateResource, index: number): void {
    const { parameters = {}, template } = resource.properties as {
      parameters?: Readonly<Record<string, Json>>;
      template: unknown;
    };
    const given = Object.entries(parameters).map(([name, wrapped]) => {
      const { value } = this.#evaluate(wrapped, index) as { value: Json };
      return [name, value] as const;
    });
    const module = new Deployment(template as Template, Object.fromEntries(given));
    this.#modules.set(symbol, module);
    this.resources.push(...module.resources);
  }

  #evaluate(value: Json, index: number): Json {
    if (typeof value === 'string') {
      return evaluateText(value, { call: (name, args) => this.#call(name, args, index) });
    }
    if (Array.isArray(value)) return value.map((item: Json) => this.#evaluate(item, index));
    if (value === null || typeof value !== 'object') return value;
    const entries = Object.entries(value).map(([key, inner]) => [
      String(this.#evaluate(key, index)),
      this.#evaluate(inner, index),
    ]);
    return Object.fromEntries(entries) as Json;
  }

  #call(name: string, args: readonly Argument[], index: number): Json {
    const first = (): string => String(args[0]?.value());
    if (name === 'parameters') return this.#parameter(first());
    if (name === 'variables') return this.#variable(first());
    if (name === 'copyIndex') return index;
    if (name === 'reference') return this.#reference(first());
    const known = pureFunctions[name];
    if (known === undefined) throw new Error(`the template calls ${name}(): teach it to the test`);
    return known(args);
  }

  #parameter(name: string): Json {
    const declared = this.#template.parameters?.[name];
    if (declared === undefined) throw new Error(`no parameter is called ${name}`);
    if (name in this.#parameters) return this.#parameters[name] as Json;
    if (declared.defaultValue === undefined) return null;
    return this.#evaluate(declared.defaultValue, 0);
  }

  #variable(name: string): Json {
    return this.#evaluate(memberOf(this.#template.variables ?? {}, name), 0);
  }

  #reference(target: string): Json {
    if (target.startsWith('/')) return stateOf(target);
    const resource = this.#resource(target);
    if (resource.type !== 'Microsoft.Resources/deployments') {
      return stateOf(resourceId([resource.type, ...this.#nameParts(resource)]));
    }
    this.#deploy(target);
    const module = this.#modules.get(target);
    if (module === undefined) throw new Error(`${target} is needed while it is being made`);
    return { outputs: module.#outputs() };
  }

  #nameParts({ name }: TemplateResource): string[] {
    return String(this.#evaluate(name, 0)).split('/');
  }

  #outputs(): Json {
    const names = Object.keys(this.#template.outputs ?? {});
    return Object.fromEntries(names.map((name) => [name, { value: this.output(name) }]));
  }
}

/** Every resource of a template and its modules, unevaluated, with the path to it. */
export function* declared(
  template: Template,
  path = '',
): Generator<{ readonly path: string; readonly resource: TemplateResource }> {
  for (const [symbol, resource] of Object.entries(template.resources)) {
    yield { path: `${path}${symbol}`, resource: resource };
    const inner = resource.properties?.['template'];
    if (inner !== undefined) yield* declared(inner as unknown as Template, `${path}${symbol}/`);
  }
}
