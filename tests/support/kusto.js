// What Microsoft's parser of the Kusto query language finds wrong in queries over the table `traces` of Application
// Insights: a JSON array of queries on standard input, one array of messages for each on standard output.
require("@kusto/language-service-next/bridge.min.js");
require("@kusto/language-service-next/Kusto.Language.Bridge.min.js");

const traces = "let traces = datatable(timestamp: datetime, message: string)[];\n";

function diagnostics(query) {
  const found = Kusto.Language.KustoCode.ParseAndAnalyze(traces + query).GetDiagnostics();
  return Array.from({ length: found.Count }, (_, n) => found.getItem(n).Message);
}

const queries = JSON.parse(require("fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(queries.map(diagnostics)));
