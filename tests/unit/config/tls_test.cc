// TLS in the file and by flags: what each key sets, which of them need each other, and the files they name.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "certificates.h"
#include "config/limits.h"
#include "config/print.h"
#include "reading.h"

namespace ringway::config {
namespace {

using Words = std::vector<std::string>;

// The `tls` of the listener stands on line 2, that of the cluster on line 3.
std::string with_tls(const std::string& listener, const std::string& cluster, const std::string& more = "") {
  return "listeners: [{address: '127.0.0.1:0', routes: [{cluster: a}]" + more + ",\n" +
         (listener.empty() ? "" : "  tls: " + listener) + "}]\n" +
         "clusters: [{name: a, endpoints: [{address: '127.0.0.1:1'}]" + (cluster.empty() ? "" : ", tls: " + cluster) +
         "}]\n";
}

Snapshot read(const std::string& text) {
  const Reading reading = read_text(text);
  EXPECT_EQ(reading.report, "") << text;
  return reading.snapshot;
}

ListenerTls listener_tls(const std::string& tls) {
  const Snapshot snapshot = read(with_tls(tls, ""));
  return snapshot.listeners.empty() ? ListenerTls() : snapshot.listeners[0].tls.value_or(ListenerTls());
}

ClusterTls cluster_tls(const std::string& tls) {
  const Snapshot snapshot = read(with_tls("", tls));
  return snapshot.clusters.empty() ? ClusterTls() : snapshot.clusters[0].tls.value_or(ClusterTls());
}

TEST(Tls, CleartextWithoutTheKey) {
  const Snapshot snapshot = read(with_tls("", ""));
  EXPECT_FALSE(snapshot.listeners[0].tls.has_value());
  EXPECT_FALSE(snapshot.clusters[0].tls.has_value());
  EXPECT_EQ(snapshot.listeners[0].forwarded.client_cert, ClientCertHeader::kSanitize);
  EXPECT_EQ(snapshot.shards.ktls, KtlsMode::kAuto);
  EXPECT_EQ(snapshot.limits.handshake_timeout_ns, 10'000'000'000u);
}

TEST(Tls, Listener) {
  const ListenerTls least = listener_tls("{certificates: [{certificate: c.pem, private_key: k.pem}]}");
  ASSERT_EQ(least.certificates.size(), 1u);
  EXPECT_EQ(least,
            (ListenerTls{
                {{"/conf/c.pem", "/conf/k.pem"}}, "", ClientCertificate::kOff, "", initial(LimitId::kTicketRotation)}));
  EXPECT_EQ(listener_tls("{certificates: [{certificate: a, private_key: b}, {private_key: d, certificate: c}],\n"
                         "  client_ca: e, client_certificate: optional, crl: f, tickets: {rotate: 1h}}"),
            (ListenerTls{{{"/conf/a", "/conf/b"}, {"/conf/c", "/conf/d"}},
                         "/conf/e",
                         ClientCertificate::kOptional,
                         "/conf/f",
                         uint64_t{3600} * 1'000'000'000}));
}

TEST(Tls, AnAuthorityMeansThatCertificatesAreRequired) {
  const std::string pair = "{certificates: [{certificate: c, private_key: k}], client_ca: a";
  EXPECT_EQ(listener_tls(pair + "}").client_certificate, ClientCertificate::kRequire);
  EXPECT_EQ(listener_tls(pair + ", client_certificate: require}").client_certificate, ClientCertificate::kRequire);
  const ListenerTls off = listener_tls(pair + ", client_certificate: off}");
  EXPECT_EQ(off.client_certificate, ClientCertificate::kOff) << "what is said outright stays";
  EXPECT_EQ(off.client_ca, "/conf/a");
}

TEST(Tls, Cluster) {
  EXPECT_TRUE(read(with_tls("", "{}")).clusters[0].tls.has_value()) << "TLS with the system's authorities";
  EXPECT_EQ(cluster_tls("{}"), ClusterTls());
  EXPECT_EQ(cluster_tls("{ca: a, certificate: b, private_key: c, crl: d, server_name: pcbook}"),
            (ClusterTls{"/conf/a", "/conf/b", "/conf/c", "/conf/d", "pcbook"}));
  for (const std::string name : {"localhost", "a-b.c_d.example", "192.0.2.7", "2001:db8::1", "xn--bcher-kva.example"}) {
    EXPECT_EQ(cluster_tls("{server_name: '" + name + "'}").server_name, name);
  }
}

TEST(Tls, FileNamesAreRelativeToTheFile) {
  EXPECT_EQ(cluster_tls("{ca: cert/a b.pem}").ca, "/conf/cert/a b.pem");
  EXPECT_EQ(cluster_tls("{ca: ./a.pem}").ca, "/conf/a.pem");
  EXPECT_EQ(cluster_tls("{ca: ../a.pem}").ca, "/conf/../a.pem") << "conf may be a symbolic link";
  EXPECT_EQ(cluster_tls("{ca: /etc/a.pem}").ca, "/etc/a.pem");
}

TEST(Tls, ClientCertHeader) {
  const std::string pair = "{certificates: [{certificate: c, private_key: k}]";
  const std::pair<const char*, ClientCertHeader> modes[] = {{"sanitize", ClientCertHeader::kSanitize},
                                                            {"sanitize_set", ClientCertHeader::kSanitizeSet},
                                                            {"append_forward", ClientCertHeader::kAppendForward},
                                                            {"forward_only", ClientCertHeader::kForwardOnly}};
  for (const auto& [word, mode] : modes) {
    const std::string forwarded = fmt::format(", forwarded: {{client_cert: {}}}", word);
    const Snapshot snapshot = read(with_tls(pair + ", client_ca: a, client_certificate: optional}", "", forwarded));
    EXPECT_EQ(snapshot.listeners[0].forwarded.client_cert, mode);
    for (const std::string& tls : {std::string(), pair + "}", pair + ", client_ca: a, client_certificate: off}"}) {
      EXPECT_EQ(
          read_text(with_tls(tls, "", forwarded)).report,
          mode == ClientCertHeader::kSanitize
              ? ""
              : fmt::format("t.yaml:1:87: listeners[0].forwarded.client_cert: the clients of this listener are not "
                            "asked for a certificate, which '{}' is about, allowed: sanitize, or with "
                            "tls.client_ca: FILE\n",
                            word));
    }
  }
}

TEST(Tls, Ktls) {
  const std::pair<const char*, KtlsMode> modes[] = {
      {"off", KtlsMode::kOff}, {"tx", KtlsMode::kTx}, {"rxtx", KtlsMode::kRxTx}, {"auto", KtlsMode::kAuto}};
  for (const auto& [word, mode] : modes) {
    EXPECT_EQ(read_with_routing(fmt::format("shards: {{ktls: {}}}", word)).snapshot.shards.ktls, mode);
    const Invocation flagged =
        load_words({"--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:1", "--check", "--ktls", word});
    EXPECT_EQ(flagged.error, "");
    EXPECT_EQ(flagged.snapshot.shards.ktls, mode);
  }
  EXPECT_EQ(read_with_routing("shards: {ktls: rx}").report,
            "t.yaml:1:16: shards.ktls: 'rx' is not known here, allowed: off, tx, rxtx, auto\n");
}

TEST(Tls, MistakesOfAListener) {
  const std::string pair = "certificates: [{certificate: c, private_key: k}]";
  const std::string tls = "listeners[0].tls";
  const std::string list = "a list of at least one {certificate, private_key}";
  const std::pair<std::string, std::string> cases[] = {
      {"{}", "2:8: " + tls + ": the key 'certificates' is missing, allowed: " + list},
      {"c.pem",
       "2:8: " + tls +
           ": 'c.pem' stands where a map belongs, allowed: certificates, client_ca, client_certificate, crl, tickets"},
      {"{certificates: []}", "2:23: " + tls + ".certificates: the list is empty, allowed: " + list},
      {"{certificates: c.pem}",
       "2:23: " + tls + ".certificates: 'c.pem' stands where a list belongs, allowed: " + list},
      {"{certificates: [c.pem]}",
       "2:24: " + tls + ".certificates[0]: 'c.pem' stands where a map belongs, allowed: certificate, private_key"},
      {"{certificates: [{certificate: c}]}",
       "2:24: " + tls + ".certificates[0]: the key 'private_key' is missing, allowed: the name of a file"},
      {"{certificates: [{private_key: k}]}",
       "2:24: " + tls + ".certificates[0]: the key 'certificate' is missing, allowed: the name of a file"},
      {"{certificates: [{certificate: '', private_key: k}]}",
       "2:38: " + tls + ".certificates[0].certificate: '' is not a file name, allowed: the name of a file"},
      {"{certificates: [{certificate: c, private_key: \"-----BEGIN\\nMII\"}]}",
       "2:54: " + tls +
           ".certificates[0].private_key: '-----BEGIN\\x0aMII' is not a file name, allowed: the name of a file"},
      {"{" + pair + ", ca: a}",
       "2:59: " + tls + ".ca: unknown key 'ca', allowed: certificates, client_ca, client_certificate, crl, tickets"},
      {"{" + pair + ", client_certificate: require}",
       "2:79: " + tls +
           ".client_certificate: 'require' stands without 'client_ca', allowed: with client_ca: FILE, or off"},
      {"{" + pair + ", client_certificate: optional}",
       "2:79: " + tls +
           ".client_certificate: 'optional' stands without 'client_ca', allowed: with client_ca: FILE, or off"},
      {"{" + pair + ", client_ca: a, client_certificate: true}",
       "2:93: " + tls + ".client_certificate: 'true' is not known here, allowed: off, optional, require"},
      {"{" + pair + ", crl: r}",
       "2:64: " + tls + ".crl: 'crl' stands without 'client_ca', allowed: with client_ca: FILE"},
      {"{" + pair + ", tickets: {keys: 2}}", "2:69: " + tls + ".tickets.keys: unknown key 'keys', allowed: rotate"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(read_text(with_tls(text, "")).report, "t.yaml:" + message + "\n");
}

TEST(Tls, MistakesOfACluster) {
  const std::string tls = "clusters[0].tls";
  const std::string name =
      ".server_name: '{}' is not a server name, allowed: a host name, as api.example.com, or an IP "
      "address";
  const std::pair<std::string, std::string> cases[] = {
      {"true", "3:66: " + tls +
                   ": 'true' stands where a map belongs, allowed: ca, certificate, private_key, crl, "
                   "server_name"},
      {"{certificate: c}",
       "3:80: " + tls + ".certificate: 'certificate' stands without 'private_key', allowed: both or neither"},
      {"{private_key: c}",
       "3:80: " + tls + ".private_key: 'private_key' stands without 'certificate', allowed: both or neither"},
      {"{crl: c}", "3:72: " + tls + ".crl: 'crl' stands without 'ca', allowed: with ca: FILE"},
      {"{client_ca: c}", "3:67: " + tls +
                             ".client_ca: unknown key 'client_ca', allowed: ca, certificate, private_key, "
                             "crl, server_name"},
      {"{ca: [a]}", "3:71: " + tls + ".ca: a list stands where one value belongs, allowed: the name of a file"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(read_text(with_tls("", text)).report, "t.yaml:" + message + "\n");
  for (const std::string wrong : {"", "a b", "https://a", "a:443", "[2001:db8::1]", "10.0.0.0/8", "a..b", "a.", "-a",
                                  "a-", "1.2.3", "*.example", "\u00fcber.example"}) {
    EXPECT_EQ(read_text(with_tls("", "{server_name: '" + wrong + "'}")).report,
              "t.yaml:3:80: " + tls + fmt::format(fmt::runtime(name), wrong) + "\n");
  }
  const std::string longest =
      std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') + "." + std::string(61, 'd');
  EXPECT_EQ(cluster_tls("{server_name: " + longest + "}").server_name, longest);
  EXPECT_NE(read_text(with_tls("", "{server_name: " + longest + "d}")).report, "");
  EXPECT_NE(read_text(with_tls("", "{server_name: " + std::string(64, 'a') + "}")).report, "");
}

TEST(Tls, AnEndpointWithoutHostNeedsAServerName) {
  const auto report_of = [](const std::string& tls) {
    return read_text(
               "listeners: [{address: '127.0.0.1:0', routes: [{cluster: a}]}]\n"
               "clusters: [{name: a, endpoints: [{address: '127.0.0.1:1'}, {address: 'unix:/run/a'}, {address: "
               "'unix:/run/b'}], tls: " +
               tls + "}]\n")
        .report;
  };
  EXPECT_EQ(report_of("{server_name: a}"), "");
  EXPECT_EQ(report_of("{}"),
            "t.yaml:2:118: clusters[0].tls: the endpoint 'unix:/run/a' has no host that its certificate could be for, "
            "allowed: with a server name\n");
}

TEST(Tls, PrintedSnapshotsReadBack) {
  const std::string pair = "{certificates: [{certificate: 'c: #1.pem', private_key: k}]";
  for (const std::string& text :
       {with_tls(pair + "}", "{}"), with_tls(pair + ", client_ca: a, client_certificate: off}", "{server_name: '::1'}"),
        with_tls(pair + ", client_ca: a, client_certificate: optional, crl: c, tickets: {rotate: 90s}}",
                 "{ca: a, certificate: b, private_key: \"true\", crl: c, server_name: \"off\"}",
                 ", forwarded: {client_cert: append_forward}"),
        "shards: {ktls: rxtx}\n" + with_tls("", "{ca: /x}")}) {
    const Snapshot first = read(text);
    const std::string printed = to_yaml(first);
    EXPECT_EQ(read(printed), first) << printed;
    EXPECT_EQ(to_yaml(read(printed)), printed);
  }
}

// One for all tests of this file: certificate, key and authority in one.
const tls::Issued& sound_pair() {
  static tls::Authority authority;
  static const tls::Issued issued = authority.root("sound");
  return issued;
}

// Flags: the names of files that can be used, for the command line is looked at with its files.
class TlsFlagsTest : public testing::Test {
 protected:
  Invocation check(const Words& more, const Words& base = {"--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:1"}) {
    Words words = base;
    words.push_back("--check");
    words.insert(words.end(), more.begin(), more.end());
    return load_words(words);
  }
  void expect_refused(const Words& more, const std::string& message) {
    const Invocation invocation = check(more);
    EXPECT_EQ(invocation.exit_code, 2);
    EXPECT_EQ(invocation.error, "ringway: " + message + "\n");
  }
  void expect_refused_over(const WrittenFile& file, const Words& more, const std::string& message) {
    EXPECT_EQ(check(more, {"--config", file.path()}).error, "ringway: " + message + "\n");
  }

  const WrittenFile file_{sound_pair().chain_pem + sound_pair().key_pem};
  const std::string path_ = file_.path();
  const WrittenFile other_{sound_pair().key_pem + sound_pair().chain_pem};
};

TEST_F(TlsFlagsTest, Listener) {
  const Invocation plain = check({"--tls-cert", path_, "--tls-key", other_.path(), "--listen", "127.0.0.1:0"});
  EXPECT_EQ(plain.error, "");
  ASSERT_EQ(plain.snapshot.listeners.size(), 2u);
  const ListenerTls expected{
      {{path_, other_.path()}}, "", ClientCertificate::kOff, "", initial(LimitId::kTicketRotation)};
  for (const ListenerConfig& listener : plain.snapshot.listeners) EXPECT_EQ(listener.tls, expected);

  const Invocation mutual = check({"--tls-client-ca", other_.path(), "--tls-cert", path_, "--tls-key", path_});
  EXPECT_EQ(mutual.error, "");
  EXPECT_EQ(mutual.snapshot.listeners.at(0).tls->client_ca, other_.path());
  EXPECT_EQ(mutual.snapshot.listeners.at(0).tls->client_certificate, ClientCertificate::kRequire);
}

TEST_F(TlsFlagsTest, Upstream) {
  EXPECT_EQ(check({"--upstream-tls"}).snapshot.clusters.at(0).tls, ClusterTls());
  const Invocation all = check({"--upstream-tls", "--upstream-ca", path_, "--upstream-cert", other_.path(),
                                "--upstream-key", path_, "--upstream-server-name", "pcbook"});
  EXPECT_EQ(all.error, "");
  EXPECT_EQ(all.snapshot.clusters.at(0).tls, (ClusterTls{path_, other_.path(), path_, "", "pcbook"}));
  EXPECT_FALSE(all.snapshot.listeners.at(0).tls.has_value());
}

TEST_F(TlsFlagsTest, FileNamesAreRelativeToTheWorkingDirectory) {
  const std::string relative = std::filesystem::relative(path_).string();
  const Invocation invocation = check({"--upstream-tls", "--upstream-ca", relative});
  EXPECT_EQ(invocation.error, "");
  const std::string read = invocation.snapshot.clusters.at(0).tls->ca;
  EXPECT_TRUE(read.starts_with('/')) << read;
  EXPECT_TRUE(std::filesystem::equivalent(read, path_)) << read;
}

TEST_F(TlsFlagsTest, Mistakes) {
  const std::string neither = ", allowed: both or neither";
  expect_refused({"--tls-cert", path_}, "--tls-cert: --tls-key is missing" + neither);
  expect_refused({"--tls-key", path_}, "--tls-key: --tls-cert is missing" + neither);
  expect_refused({"--upstream-tls", "--upstream-cert", path_}, "--upstream-cert: --upstream-key is missing" + neither);
  expect_refused({"--upstream-tls", "--upstream-key", path_}, "--upstream-key: --upstream-cert is missing" + neither);
  expect_refused({"--tls-client-ca", path_},
                 "--tls-client-ca: a listener without a certificate of its own asks for none, allowed: with --tls-cert "
                 "FILE and --tls-key FILE, or a file whose listener has tls");
  const Words upstream[] = {
      {"--upstream-ca", path_}, {"--upstream-server-name", "a"}, {"--upstream-cert", path_, "--upstream-key", path_}};
  for (const Words& words : upstream) {
    expect_refused(words, words[0] +
                              ": the endpoints are spoken to without TLS, allowed: with --upstream-tls, or a "
                              "file whose cluster has tls");
  }
  expect_refused(
      {"--upstream-tls", "--upstream-server-name", "a b"},
      "--upstream-server-name: 'a b' is not a server name, allowed: a host name, as api.example.com, or an IP "
      "address");
  expect_refused({"--upstream-tls", "--upstream", "unix:/run/a"},
                 "--upstream-tls: the endpoint 'unix:/run/a' has no host that its certificate could be for, allowed: "
                 "with a server name");
  expect_refused({"--ktls", "on"}, "--ktls: 'on' is not known here, allowed: off, tx, rxtx, auto");
  expect_refused({"--tls-cert", path_, "--tls-cert", "b", "--tls-key", path_},
                 fmt::format("--tls-cert: given twice, with '{}' and 'b', allowed: once", path_));
}

TEST_F(TlsFlagsTest, OverAFile) {
  const WrittenFile config(fmt::format(
      "listeners: [{{address: '127.0.0.1:0', routes: [{{cluster: a}}], tls: {{certificates: [{{certificate: '{0}', "
      "private_key: '{0}'}}, {{certificate: '{0}', private_key: '{0}'}}], client_ca: '{0}', client_certificate: "
      "optional, tickets: {{rotate: 1h}}}}}}]\n"
      "clusters: [{{name: a, endpoints: [{{address: '127.0.0.1:1'}}], tls: {{ca: '{0}', server_name: b}}}}]\n",
      path_));
  const Words base = {"--config", config.path()};
  const std::string other = other_.path();
  const Invocation plain = check({}, base);
  ASSERT_EQ(plain.error, "");

  Snapshot expected = plain.snapshot;
  expected.listeners[0].tls->certificates = {{other, other}};
  EXPECT_EQ(check({"--tls-cert", other, "--tls-key", other}, base).snapshot, expected) << "of the rest nothing changes";
  expected = plain.snapshot;
  expected.listeners[0].tls->client_ca = other;
  expected.listeners[0].tls->client_certificate = ClientCertificate::kRequire;
  EXPECT_EQ(check({"--tls-client-ca", other}, base).snapshot, expected);
  expected = plain.snapshot;
  expected.clusters[0].tls = ClusterTls{other, path_, path_, "", "c"};
  EXPECT_EQ(
      check({"--upstream-ca", other, "--upstream-cert", path_, "--upstream-key", path_, "--upstream-server-name", "c"},
            base)
          .snapshot,
      expected);
  EXPECT_EQ(check({"--upstream-tls"}, base).snapshot, plain.snapshot);
}

TEST_F(TlsFlagsTest, OverAFileWithSeveral) {
  const WrittenFile config(
      "listeners:\n"
      "  - {address: 127.0.0.1:1, routes: [{cluster: a}]}\n"
      "  - {address: 127.0.0.1:2, routes: [{cluster: b}]}\n"
      "clusters:\n"
      "  - {name: a, endpoints: [{address: 127.0.0.1:3}]}\n"
      "  - {name: b, endpoints: [{address: 127.0.0.1:4}]}\n");
  expect_refused_over(
      config, {"--tls-key", path_, "--tls-cert", path_},
      "--tls-cert: the file has 2 listeners, so it is not clear whose this is, allowed: a file with one "
      "listener or none");
  expect_refused_over(config, {"--upstream-tls"},
                      "--upstream-tls: the file has 2 clusters, so it is not clear which this is for, allowed: a file "
                      "with one cluster or none");
}

TEST_F(TlsFlagsTest, FilesAreLookedAt) {
  const WrittenFile empty("");
  const Invocation missing =
      check({"--tls-cert", "/nonexistent/c.pem", "--tls-key", empty.path(), "--upstream-tls", "--upstream-ca", "/"});
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_EQ(missing.error,
            "ringway: --tls-cert: '/nonexistent/c.pem' cannot be read: No such file or directory, allowed: a PEM file "
            "with a certificate and its chain\n"
            "ringway: --tls-key: '" +
                empty.path() +
                "' is empty, allowed: a PEM file with the private key of the certificate\n"
                "ringway: --upstream-ca: '/' cannot be read: Is a directory, allowed: a PEM file with the certificates "
                "of authorities\n");
}

// The octets of a key's PEM between its first and last line.
std::string secret_of(const std::string& key_pem) {
  const size_t begin = key_pem.find('\n') + 1;
  return key_pem.substr(begin, 40);
}

TEST_F(TlsFlagsTest, KeysAreShownToNobody) {
  const std::string& key_pem = sound_pair().key_pem;
  const WrittenFile key(key_pem);
  const std::string secret = secret_of(key_pem);
  const Invocation sound = check({"--tls-cert", path_, "--tls-key", key.path()});
  EXPECT_EQ(sound.error, "");
  EXPECT_NE(sound.output.find(key.path()), std::string::npos);
  EXPECT_EQ(sound.output.find(secret), std::string::npos);

  tls::Authority authority;
  const tls::Issued stranger = authority.root("stranger");
  // Cut off, of another certificate, and where no key belongs.
  const WrittenFile cut(key_pem.substr(0, key_pem.size() / 2));
  for (const Words& words : {Words{"--tls-cert", path_, "--tls-key", cut.path()},
                             Words{"--tls-cert", stranger.certificate, "--tls-key", key.path()},
                             Words{"--tls-cert", key.path(), "--tls-key", key.path()}}) {
    const Invocation unsound = check(words);
    EXPECT_EQ(unsound.exit_code, 2);
    EXPECT_NE(unsound.error, "");
    EXPECT_EQ(unsound.error.find(secret), std::string::npos) << unsound.error;
  }
}

TEST_F(TlsFlagsTest, FilesAreLoaded) {
  tls::Authority authority;
  const tls::Issued stranger = authority.root("stranger");
  const WrittenFile garbage("no certificate");
  const WrittenFile locked("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGb\n-----END ENCRYPTED PRIVATE KEY-----\n");
  const auto message = [](const std::string& flag, const std::string& path, const std::string& fault,
                          const std::string& allowed) {
    return flag + ": '" + path + "' " + fault + ", allowed: a PEM file with " + allowed;
  };
  const std::string of_key = "the private key of the certificate";
  const std::string of_certificate = "a certificate and its chain";
  const std::string of_authorities = "the certificates of authorities";
  expect_refused(
      {"--tls-cert", path_, "--tls-key", stranger.private_key},
      message("--tls-key", stranger.private_key, "is not the key of the first certificate in " + path_, of_key));
  expect_refused(
      {"--tls-cert", path_, "--tls-key", garbage.path()},
      message("--tls-key", garbage.path(), "holds no private key in PEM form that can be read: no start line", of_key));
  expect_refused(
      {"--tls-cert", path_, "--tls-key", locked.path()},
      message("--tls-key", locked.path(), "the private key has a password; only keys without one can be read", of_key));
  expect_refused({"--tls-cert", garbage.path(), "--tls-key", path_},
                 message("--tls-cert", garbage.path(), "holds no certificate in PEM form", of_certificate));
  expect_refused({"--tls-cert", path_, "--tls-key", path_, "--tls-client-ca", garbage.path()},
                 message("--tls-client-ca", garbage.path(), "holds no certificate in PEM form", of_authorities));
  expect_refused({"--upstream-tls", "--upstream-ca", garbage.path()},
                 message("--upstream-ca", garbage.path(), "holds no certificate in PEM form", of_authorities));
  expect_refused(
      {"--upstream-tls", "--upstream-ca", path_, "--upstream-cert", path_, "--upstream-key", stranger.private_key},
      message("--upstream-key", stranger.private_key, "is not the key of the first certificate in " + path_, of_key));
}

// Each at the place that names it, all of them in one run.
TEST_F(TlsFlagsTest, FilesOfTheFileAreLoaded) {
  tls::Authority authority;
  const tls::Issued stranger = authority.root("stranger");
  const WrittenFile garbage("no list");
  const WrittenFile config(
      fmt::format("listeners:\n"
                  "  - address: 127.0.0.1:0\n"
                  "    routes: [{{cluster: a}}]\n"
                  "    tls:\n"
                  "      certificates:\n"
                  "        - {{certificate: {0}, private_key: {0}}}\n"
                  "        - certificate: {0}\n"
                  "          private_key: {1}\n"
                  "      client_ca: {0}\n"
                  "      crl: {2}\n"
                  "clusters:\n"
                  "  - name: a\n"
                  "    endpoints: [{{address: 127.0.0.1:1}}]\n"
                  "    tls:\n"
                  "      ca: {2}\n"
                  "      certificate: {2}\n"
                  "      private_key: {0}\n",
                  path_, stranger.private_key, garbage.path()));
  const auto line = [&](const std::string& place, const std::string& path, const std::string& fault,
                        const std::string& allowed) {
    return config.path() + ":" + place + ": '" + path + "' " + fault + ", allowed: a PEM file with " + allowed + "\n";
  };
  EXPECT_EQ(check({}, {"--config", config.path()}).error,
            line("8:24: listeners[0].tls.certificates[1].private_key", stranger.private_key,
                 "is not the key of the first certificate in " + path_, "the private key of the certificate") +
                line("10:12: listeners[0].tls.crl", garbage.path(), "holds no revocation list in PEM form",
                     "revocation lists") +
                line("15:11: clusters[0].tls.ca", garbage.path(), "holds no certificate in PEM form",
                     "the certificates of authorities") +
                line("16:20: clusters[0].tls.certificate", garbage.path(), "holds no certificate in PEM form",
                     "a certificate and its chain"));
}

// Nothing is worse than cleartext for who asked for TLS.
TEST_F(TlsFlagsTest, FilesOfTheFileAreLookedAt) {
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  const std::string name = std::filesystem::path(path_).filename().string();
  const WrittenFile config(
      fmt::format("listeners:\n"
                  "  - address: 127.0.0.1:0\n"
                  "    routes: [{{cluster: a}}]\n"
                  "    tls:\n"
                  "      certificates: [{{certificate: {0}, private_key: ./{0}}}]\n"
                  "      client_ca: none/ca.pem\n"
                  "      crl: none/ca.crl\n"
                  "clusters:\n"
                  "  - name: a\n"
                  "    endpoints: [{{address: 127.0.0.1:1}}]\n"
                  "    tls: {{ca: {0}, crl: none/{1}}}\n",
                  name, std::string(120, 'x')));
  const auto line = [&](const std::string& place, const std::string& file, const std::string& allowed) {
    return config.path() + ":" + place + ": '" + folder + "/none/" + file +
           "' cannot be read: No such file or directory, allowed: a PEM file with " + allowed + "\n";
  };
  EXPECT_EQ(
      check({}, {"--config", config.path()}).error,
      line("6:18: listeners[0].tls.client_ca", "ca.pem", "the certificates of authorities") +
          line("7:12: listeners[0].tls.crl", "ca.crl", "revocation lists") +
          line(fmt::format("11:{}: clusters[0].tls.crl", 22 + name.size()), std::string(120, 'x'), "revocation lists"));
}

}  // namespace
}  // namespace ringway::config
