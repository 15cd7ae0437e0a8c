// A dashboard as Grafana's own packages type it, narrowed to the panels and queries that
// docs/grafana.json has: their types leave a panel's options and its queries open.
import type { Dashboard as Any, DataSourceRef, Panel, RowPanel, VariableModel } from '@grafana/schema';
import type { GridPos } from '@grafana/schema/dist/types/raw/dashboard/x/types.gen';
import type { FieldConfigSource } from '@grafana/schema/dist/types/veneer/dashboard.types';
import type { Options as Stat } from '@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/types.gen';
import type {
  FieldConfig as Lines,
  Options as TimeSeries,
} from '@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen';
import type { dataquery } from '@grafana/grafana-foundation-sdk/dist/prometheus/types.gen';

type Query = Omit<dataquery, '_implementsDataqueryVariant'>;
type Always = 'id' | 'title' | 'gridPos' | 'datasource';

interface Of<Type extends string, Options, Custom>
  extends Omit<Panel, Always | 'type' | 'options' | 'targets' | 'fieldConfig'> {
  id: number;
  title: string;
  gridPos: GridPos;
  datasource: DataSourceRef;
  type: Type;
  options: Options;
  targets: Query[];
  fieldConfig: FieldConfigSource<Custom>;
}

export interface Dashboard extends Omit<Any, 'title' | 'uid' | 'time' | 'templating' | 'panels'> {
  title: string;
  uid: string;
  time: { from: string; to: string };
  templating: { list: VariableModel[] };
  panels: (Of<'stat', Stat, {}> | Of<'timeseries', TimeSeries, Lines> | RowPanel)[];
}
