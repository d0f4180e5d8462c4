import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Json } from './arm-expression';
import { Deployment, type Resource, type Template } from './deploy-template';

export const repository = resolve(__dirname, '../../..');
export const read = (path: string): string => readFileSync(resolve(repository, path), 'utf8');
export const readJson = <Shape>(path: string): Shape => JSON.parse(read(path)) as Shape;

export const template = readJson<Template>('infra/azuredeploy.json');

/** What the button would deploy, with readable names. */
export function deploy(parameters: Readonly<Record<string, Json>> = {}): Deployment {
  return new Deployment(template, { resourceToken: 'abcdefghijklm', ...parameters });
}

export function ofType(deployment: Deployment, type: string): Resource[] {
  return deployment.resources.filter((resource) => resource.type === type);
}

export function only(resources: readonly Resource[]): Resource {
  const [first, ...more] = resources;
  if (first === undefined || more.length > 0) throw new Error(`${resources.length}, not one`);
  return first;
}

/** The properties of a resource, as far down as a test looks. */
export function properties<Shape>(resource: Resource): Shape {
  return resource['properties'] as Shape;
}

/** Runs a tool of the repository and parses what it prints. */
export function runJson<Shape>(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Shape {
  const env = environment as NodeJS.ProcessEnv;
  const text = execFileSync(command, args, { cwd: repository, encoding: 'utf8', env });
  return JSON.parse(text) as Shape;
}

export function appSettings(deployment: Deployment): Readonly<Record<string, string>> {
  const site = only(ofType(deployment, 'Microsoft.Web/sites'));
  const { siteConfig } = properties<{
    siteConfig: { appSettings: { name: string; value: string }[] };
  }>(site);
  return Object.fromEntries(siteConfig.appSettings.map(({ name, value }) => [name, value]));
}
