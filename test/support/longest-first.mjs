// Loaded into tap itself when it runs the tests on Kafka: the longest files begin first, since one that is begun last runs alone at the
// end. tap sorts by name whatever it is given, and has no setting for another order.
const longest = [
  'trouble',
  'failover',
  'move',
  'crash/zombie',
  'crash/failpoints',
  'crash/threads',
  'instances',
  'host',
  'goka-processor',
  'writer',
  'crash/instants',
  'appender',
  'security',
  'reader-trouble',
  'unclean',
  'views',
  'rights',
  'broker',
].map((name) => `test-kafka/${name}.test.ts`)

const place = (file) => {
  const at = longest.indexOf(file)
  return at === -1 ? longest.length : at
}

const byName = String.prototype.localeCompare
String.prototype.localeCompare = function (other, ...options) {
  return place(String(this)) - place(other) || byName.call(this, other, ...options)
}
