/** Readers of Parquet and Delta, Spark first, refuse these in a column's name. */
const refusedCharacters = /[ ,;{}()=]/;
const controlCharacters = /[\u0000-\u001f\u007f-\u009f]/;
const nameLengthMax = 255;

/** What makes a name unfit for a column that every reader can read; undefined: it is fit. */
export function columnNameFault(name: string): string | undefined {
  if (name === '') return 'a column has an empty name: give it one';
  const shown = `column ${JSON.stringify(name.slice(0, 60))}`;
  const character = refusedCharacters.exec(name)?.[0];
  if (character !== undefined) {
    return `${shown} has ${JSON.stringify(character)} in its name, which Parquet and Delta readers refuse: use letters, digits and _`;
  }
  if (controlCharacters.test(name)) {
    return `${shown} has a control character in its name: use letters, digits and _`;
  }
  if (!name.isWellFormed()) {
    return `${shown} has half a character (a lone surrogate) in its name: use letters, digits and _`;
  }
  if (name === '__proto__') {
    return `${shown} is a word of JavaScript's own: a row cannot have such a field, choose another name`;
  }
  if (name.length > nameLengthMax) {
    return `${shown}… has a name of ${name.length} characters: ${nameLengthMax} at most`;
  }
  return undefined;
}

/**
 * The name without what most readers overlook: Spark, DuckDB and Fabric find columns without regard
 * to case, and the same letters can be composed in more than one way.
 */
export function foldedColumnName(name: string): string {
  return name.normalize('NFC').toUpperCase().toLowerCase();
}
