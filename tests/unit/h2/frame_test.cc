#include "h2/frame.h"

#include <gtest/gtest.h>

#include <string>

#include "base/prng.h"
#include "h2/known_names.h"
#include "hpack_oracle.h"

namespace ringway::h2 {
namespace {

std::string text(const uint8_t* begin, const uint8_t* end) {
  return {begin, end};
}

TEST(Frame, HeadersRoundTrip) {
  base::Prng prng(1);
  for (int round = 0; round < 2000; ++round) {
    const uint32_t length = prng.below(4) == 0 ? kFrameSizeMax : prng.below(kFrameSizeMax + 1);
    const auto type = static_cast<FrameType>(prng.below(256));
    const auto flags = static_cast<uint8_t>(prng.below(256));
    const uint32_t id = prng.below(4) == 0 ? kStreamIdMax : prng.below(kStreamIdMax);
    uint8_t octets[kFrameHeaderSize];
    EXPECT_EQ(write_frame_header(octets, length, type, flags, id), octets + kFrameHeaderSize);
    const FrameHeader header = parse_frame_header(octets);
    EXPECT_EQ(header.length, length);
    EXPECT_EQ(header.type, type);
    EXPECT_EQ(header.flags, flags);
    EXPECT_EQ(header.stream_id, id);
  }
}

TEST(Frame, TheOctetsAreThoseOfTheRfc) {
  const std::string wire = from_hex("012345 06 01 80000007");
  const FrameHeader header = parse_frame_header(reinterpret_cast<const uint8_t*>(wire.data()));
  EXPECT_EQ(header.length, 0x012345u);
  EXPECT_EQ(header.type, FrameType::kPing);
  EXPECT_TRUE(header.has(kFlagAck));
  EXPECT_FALSE(header.has(kFlagPadded));
  EXPECT_EQ(header.stream_id, 7u) << "the reserved bit is dropped";
}

TEST(Frame, WholeFramesOfFixedSize) {
  uint8_t octets[32];
  EXPECT_EQ(text(octets, write_rst_stream(octets, 5, ErrorCode::kCancel)), from_hex("000004 03 00 00000005 00000008"));
  EXPECT_EQ(text(octets, write_window_update(octets, 0, 0x7fffffff)), from_hex("000004 08 00 00000000 7fffffff"));
  const std::string opaque = "abcdefgh";
  const auto* p = reinterpret_cast<const uint8_t*>(opaque.data());
  EXPECT_EQ(text(octets, write_ping(octets, false, p)), from_hex("000008 06 00 00000000") + opaque);
  EXPECT_EQ(text(octets, write_ping(octets, true, p)), from_hex("000008 06 01 00000000") + opaque);
  EXPECT_EQ(text(octets, write_setting(octets, SettingId::kMaxFrameSize, 16'384)), from_hex("0005 00004000"));
}

TEST(Frame, NamesOfErrorCodes) {
  EXPECT_EQ(name_of(ErrorCode::kNoError), "NO_ERROR");
  EXPECT_EQ(name_of(ErrorCode::kEnhanceYourCalm), "ENHANCE_YOUR_CALM");
  EXPECT_EQ(name_of(ErrorCode::kHttp11Required), "HTTP_1_1_REQUIRED");
  EXPECT_EQ(name_of(static_cast<ErrorCode>(14)), "unknown");
  EXPECT_EQ(name_of(static_cast<ErrorCode>(0xffffffff)), "unknown");
}

TEST(KnownNames, AreFoundByTheirTextAndNoOther) {
  for (uint8_t i = 1; i < static_cast<uint8_t>(KnownName::kCount); ++i) {
    const auto name = static_cast<KnownName>(i);
    const std::string spelt(text_of(name));
    EXPECT_EQ(find_known_name(spelt), name) << spelt;
    EXPECT_EQ(find_known_name(spelt + "x"), KnownName::kNone);
    std::string other = spelt;
    other[other.size() / 2] = '~';
    EXPECT_EQ(find_known_name(other), KnownName::kNone);
    if (static_index_of(name) != 0) {
      EXPECT_EQ(static_field(static_index_of(name)).name, spelt);
      EXPECT_TRUE(static_index_of(name) == 1 || static_field(static_index_of(name) - 1u).known != name) << "the first";
    }
  }
  EXPECT_EQ(find_known_name(""), KnownName::kNone);
  EXPECT_EQ(find_known_name("Host"), KnownName::kNone);
}

TEST(KnownNames, Classes) {
  for (const KnownName name :
       {KnownName::kAuthority, KnownName::kMethod, KnownName::kPath, KnownName::kScheme, KnownName::kStatus}) {
    EXPECT_TRUE(is_pseudo(name));
  }
  EXPECT_FALSE(is_pseudo(KnownName::kNone));
  EXPECT_FALSE(is_pseudo(KnownName::kAcceptCharset));
  for (const KnownName name : {KnownName::kConnection, KnownName::kKeepAlive, KnownName::kProxyConnection,
                               KnownName::kUpgrade, KnownName::kHttp2Settings, KnownName::kTransferEncoding}) {
    EXPECT_TRUE(is_hop_by_hop(name));
  }
  EXPECT_FALSE(is_hop_by_hop(KnownName::kTe));
  EXPECT_FALSE(is_hop_by_hop(KnownName::kGrpcTimeout));
  EXPECT_TRUE(is_sensitive(KnownName::kAuthorization));
  EXPECT_TRUE(is_sensitive(KnownName::kProxyAuthorization));
  EXPECT_TRUE(is_sensitive(KnownName::kCookie));
  EXPECT_FALSE(is_sensitive(KnownName::kSetCookie));
}

}  // namespace
}  // namespace ringway::h2
