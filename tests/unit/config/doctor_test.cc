#include "config/doctor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "io/probe.h"
#include "io/ring.h"
#include "reading.h"
#include "tls/kernel.h"

namespace ringway::config {
namespace {

using io::Verdict;

TEST(Doctor, TableOfAMachineThatCannotRun) {
  const io::Probe probe{{{"kernel", Verdict::kInformation, "5.10.0", ""},
                         {"io_uring", Verdict::kMissing, "no", "needs Linux 6.1"},
                         {"RLIMIT_NOFILE", Verdict::kAdvice, "1024", "raise it"},
                         {"net.core.somaxconn", Verdict::kGood, "4096", ""}},
                        false};
  EXPECT_EQ(doctor_table(probe),
            "info     kernel              5.10.0\n"
            "MISSING  io_uring            no      needs Linux 6.1\n"
            "advice   RLIMIT_NOFILE       1024    raise it\n"
            "ok       net.core.somaxconn  4096\n"
            "\n"
            "ringway cannot run here.\n");
}

TEST(Doctor, ProbeAnswersForEverySubject) {
  const io::Probe probe = io::probe();
  for (const std::string_view subject :
       {"kernel", "kernel.io_uring_disabled", "io_uring", "SINGLE_ISSUER, DEFER_TASKRUN", "provided buffer ring",
        "multishot recv", "multishot accept", "CQE skip", "cancel by fd", "MSG_RING", "min-wait time-outs",
        "NAPI busy poll", "RLIMIT_MEMLOCK", "RLIMIT_NOFILE", "net.core.somaxconn", "CPUs", "CPU governor",
        "TCP congestion control"}) {
    const auto found = std::ranges::find(probe.findings, subject, &io::Finding::subject);
    ASSERT_NE(found, probe.findings.end()) << subject;
    EXPECT_FALSE(found->value.empty()) << subject;
    const bool asks_for_more = found->verdict == Verdict::kMissing || found->verdict == Verdict::kAdvice;
    EXPECT_TRUE(!asks_for_more || !found->advice.empty()) << subject;
  }
}

TEST(Doctor, ProbeAgreesWithTheRing) {
  const io::Probe probe = io::probe();
  const bool is_missing_anything =
      std::ranges::any_of(probe.findings, [](const auto& f) { return f.verdict == Verdict::kMissing; });
  EXPECT_EQ(probe.can_run, !is_missing_anything);
  EXPECT_TRUE(!probe.can_run || io::can_make_ring().has_value());
}

TEST(Doctor, KernelTlsThatDoesAll) {
  tls::KernelSupport support{.send_ciphers = {true, true, true},
                             .receive_ciphers = {true, true, true},
                             .can_send = true,
                             .can_receive = true,
                             .can_rekey = true,
                             .is_sound = true,
                             .release = "6.18.5",
                             .cause = ""};
  auto findings = kernel_tls_findings(support);
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].subject, "kernel TLS, sending");
  EXPECT_EQ(findings[1].subject, "kernel TLS, receiving");
  for (const io::Finding& finding : findings) {
    EXPECT_EQ(finding.verdict, Verdict::kInformation);
    EXPECT_EQ(finding.value, "AES-128, AES-256, ChaCha20");
    EXPECT_EQ(finding.advice, "");
  }
  support.can_rekey = false;
  support.is_sound = false;
  findings = kernel_tls_findings(support);
  EXPECT_EQ(findings[0].advice, "--ktls auto leaves it off: Linux 6.12.44 mends faults of it");
  EXPECT_EQ(findings[1].advice, "a peer that changes its keys is closed (before Linux 6.14)");
}

TEST(Doctor, KernelTlsSaysWhatIsMissing) {
  tls::KernelSupport support;
  support.cause = "modprobe tls";
  for (const io::Finding& finding : kernel_tls_findings(support)) {
    EXPECT_EQ(finding.value, "no");
    EXPECT_EQ(finding.advice, "modprobe tls");
  }
  support = {.send_ciphers = {true, true, false},
             .receive_ciphers = {},
             .can_send = true,
             .can_receive = false,
             .can_rekey = true,
             .is_sound = true,
             .release = "6.18.5",
             .cause = ""};
  const auto findings = kernel_tls_findings(support);
  EXPECT_EQ(findings[0].value, "AES-128, AES-256");
  EXPECT_EQ(findings[0].advice, "without ChaCha20: modprobe chacha20poly1305");
  EXPECT_EQ(findings[1].value, "no");
  EXPECT_EQ(findings[1].advice, "this kernel cannot");
}

TEST(Doctor, ExitCode) {
  const Invocation invocation = load_words({"--doctor"});
  EXPECT_EQ(invocation.action, Invocation::Action::kExit);
  const bool can_run = invocation.output.ends_with("ringway can run here.\n");
  EXPECT_EQ(invocation.exit_code, can_run ? 0 : 1);
  for (const std::string_view subject : {"kernel TLS, sending", "kernel TLS, receiving"}) {
    EXPECT_NE(invocation.output.find(subject), std::string::npos) << invocation.output;
  }
}

TEST(Doctor, AllowedCpusAreAscending) {
  const auto cpus = io::allowed_cpus();
  ASSERT_FALSE(cpus.empty());
  EXPECT_TRUE(std::ranges::is_sorted(cpus));
}

}  // namespace
}  // namespace ringway::config
