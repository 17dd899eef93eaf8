// The same, with as many people as such a brand has.
process.env.RECUR_E2E_PEOPLE ??= '100000';
await import('./stitching.e2e.spec.ts');
