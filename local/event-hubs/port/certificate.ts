import { createPrivateKey, generateKeyPair, randomBytes, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pki, md } from 'node-forge';

const dayMs = 24 * 60 * 60 * 1_000;
/** Some clients take no certificate that is valid for longer than 398 days. */
const validMs = 397 * dayMs;
/** One that ends sooner is made anew at the start. */
const remainingMsMin = 30 * dayMs;
/** Clocks of clients may be slow. */
const clockToleranceMs = 60 * 60 * 1_000;
const keyBits = 2_048;

export interface Certificate {
  /** PEM. */
  readonly key: string;
  /** PEM: the certificate, and those that signed it. */
  readonly cert: string;
  /** What clients are to trust: a PEM file; null: they know themselves, since the certificate was given. */
  readonly authorityFile: string | null;
}

/** A certificate that somebody made, checked before a client meets it. */
export function readCertificate(certificateFile: string, keyFile: string): Certificate {
  const cert = readFileSync(certificateFile, 'utf8');
  const key = readFileSync(keyFile, 'utf8');
  let isOfKey: boolean;
  try {
    isOfKey = matches(new X509Certificate(cert), key);
  } catch (error) {
    throw new Error(
      `${certificateFile} and ${keyFile} must hold a certificate and its key in PEM form: ${(error as Error).message}`,
    );
  }
  if (!isOfKey) throw new Error(`${keyFile} is not the key of the certificate ${certificateFile}`);
  return { key, cert, authorityFile: null };
}

/**
 * The certificate of a folder, made there when it has none that is good for this host and for a month.
 * It is signed by an authority whose own key is thrown away: whoever trusts that trusts nothing else.
 */
export async function certificateIn(
  directory: string,
  host: string,
  nowMs: number,
): Promise<Certificate> {
  const names = namesOf(host);
  const files = {
    key: join(directory, 'key.pem'),
    cert: join(directory, 'certificate.pem'),
    authority: join(directory, 'certificate-authority.pem'),
  };
  const kept = readKept(files, names, nowMs);
  if (kept !== null) return kept;
  const made = await makeCertificate(names, nowMs);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const [file, text] of [
    [files.key, made.key],
    [files.cert, made.cert],
    [files.authority, made.authority],
  ] as const) {
    writeFileSync(`${file}.new`, text, { mode: file === files.key ? 0o600 : 0o644 });
    renameSync(`${file}.new`, file);
  }
  return { key: made.key, cert: made.cert, authorityFile: files.authority };
}

function readKept(
  files: Readonly<Record<'key' | 'cert' | 'authority', string>>,
  names: readonly string[],
  nowMs: number,
): Certificate | null {
  if (!Object.values(files).every((file) => existsSync(file))) return null;
  const [key, cert, authority] = [files.key, files.cert, files.authority].map((file) =>
    readFileSync(file, 'utf8'),
  ) as [string, string, string];
  let isGood: boolean;
  try {
    const own = new X509Certificate(cert);
    const signer = new X509Certificate(authority);
    isGood =
      matches(own, key) &&
      own.verify(signer.publicKey) &&
      Date.parse(own.validTo) - nowMs > remainingMsMin &&
      names.every((name) => (isIP(name) === 0 ? own.checkHost(name) : own.checkIP(name)));
  } catch {
    // Cut short, or not ours: made anew.
    isGood = false;
  }
  return isGood ? { key, cert, authorityFile: files.authority } : null;
}

const matches = (certificate: X509Certificate, key: string): boolean =>
  certificate.checkPrivateKey(createPrivateKey(key));

/** Under which clients of this machine, its network and its containers find the emulator. */
function namesOf(host: string): string[] {
  const own = ['localhost', '127.0.0.1', '::1', 'host.docker.internal', hostname(), host];
  const isAny = (name: string): boolean => name === '0.0.0.0' || name === '::';
  return [...new Set(own.map((name) => name.toLowerCase()))].filter((name) => !isAny(name));
}

async function makeCertificate(
  names: readonly string[],
  nowMs: number,
): Promise<{ readonly key: string; readonly cert: string; readonly authority: string }> {
  const [authorityKeys, keys] = await Promise.all([makeKeys(), makeKeys()]);
  const authority = unsigned(authorityKeys, nowMs);
  const authorityName = [{ name: 'commonName', value: `Millrace emulator ${serialNumber()}` }];
  authority.setSubject(authorityName);
  authority.setIssuer(authorityName);
  authority.setExtensions([
    { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    { name: 'subjectKeyIdentifier' },
  ]);
  authority.sign(authorityKeys.privateKey, md.sha256.create());
  const certificate = unsigned(keys, nowMs);
  certificate.setSubject([{ name: 'commonName', value: 'localhost' }]);
  certificate.setIssuer(authorityName);
  certificate.setExtensions([
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
    { name: 'extKeyUsage', serverAuth: true },
    { name: 'subjectKeyIdentifier' },
    {
      name: 'authorityKeyIdentifier',
      keyIdentifier: authority.generateSubjectKeyIdentifier().getBytes(),
    },
    {
      name: 'subjectAltName',
      altNames: names.map((name) =>
        isIP(name) === 0 ? { type: 2, value: name } : { type: 7, ip: name },
      ),
    },
  ]);
  certificate.sign(authorityKeys.privateKey, md.sha256.create());
  const authorityText = pki.certificateToPem(authority);
  return {
    key: pki.privateKeyToPem(keys.privateKey),
    cert: `${pki.certificateToPem(certificate)}${authorityText}`,
    authority: authorityText,
  };
}

async function makeKeys(): Promise<pki.rsa.KeyPair> {
  const { privateKey, publicKey } = await promisify(generateKeyPair)('rsa', {
    modulusLength: keyBits,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  return {
    privateKey: pki.privateKeyFromPem(privateKey),
    publicKey: pki.publicKeyFromPem(publicKey),
  };
}

function unsigned({ publicKey }: pki.rsa.KeyPair, nowMs: number): pki.Certificate {
  const certificate = pki.createCertificate();
  certificate.publicKey = publicKey;
  certificate.serialNumber = serialNumber();
  certificate.validity.notBefore = new Date(nowMs - clockToleranceMs);
  certificate.validity.notAfter = new Date(nowMs - clockToleranceMs + validMs);
  return certificate;
}

/** Positive: the first bit is 0. */
const serialNumber = (): string => `01${randomBytes(15).toString('hex')}`;
