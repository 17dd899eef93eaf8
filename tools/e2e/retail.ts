import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MonetaryBasis, RfmSettings } from '#gen/recur/segmentation/v1/segment.ts';
import { type ImportResult, importFile } from '#tools/importer/import-file.ts';
import { loadLibrary } from '#tools/library/load.ts';
import { deleteWithUs } from '#tools/servers/watchdog.ts';
import { dataSet } from './data-set.ts';
import type { ShopCluster } from './shop-cluster.ts';

/** The moment the reference figures are of. */
export const AS_OF = Date.parse('2011-09-01T00:00:00Z');

/** Means of the data set: what counts as high. */
export const THRESHOLDS = { recencyDays: 92.6, frequency: 3.4414, monetary: 1579.51 };

export const RETAIL_FILE = 'online_retail/online_retail_dev_to_2011-08-31.csv.gz';
export const RETAIL_MAPPING = join(import.meta.dirname, '../importer/mappings/online-retail.yaml');

/** Journeys, segments, templates and RFM thresholds, in force in every partition before the first event comes. */
export async function prepareShop({ api, quiescence }: ShopCluster): Promise<void> {
  await api.segmentation.updateRfmSettings({
    settings: RfmSettings.fromPartial({
      recencyDays: THRESHOLDS.recencyDays,
      frequency: THRESHOLDS.frequency,
      monetaryMicros: Math.round(THRESHOLDS.monetary * 1e6),
      monetaryBasis: MonetaryBasis.MONETARY_BASIS_GROSS,
    }),
    requestId: 'e2e-rfm',
  });
  const { segments, templates, journeys } = await loadLibrary(api);
  await quiescence.defined({
    segmentation: segments.length + 1,
    journey: journeys.length,
    messaging: templates.length,
  });
}

/** Imports the file, as `npm run import` does. */
export function importRetail(
  { endpoints }: ShopCluster,
  options: { mappingFile?: string; fromStart?: boolean; onBatch?: (events: number) => void } = {},
): Promise<ImportResult> {
  const { mappingFile = RETAIL_MAPPING, fromStart = false, onBatch } = options;
  const workDir = mkdtempSync(join(tmpdir(), 'recur-import-'));
  deleteWithUs(workDir);
  const target = { url: endpoints.ingestHttp, writeKey: endpoints.writeKeys.import ?? endpoints.writeKey };
  return importFile(
    { mappingFile, file: dataSet(RETAIL_FILE), target, batch: 200, workDir, fromStart, ...(onBatch && { onBatch }) },
    { update: () => {} },
  );
}
