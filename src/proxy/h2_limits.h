// The configured limits as a connection of either role takes them.
#pragma once

#include <string_view>

#include "config/snapshot.h"
#include "h2/connection.h"
#include "proxy/text.h"

namespace ringway::proxy {

h2::Limits h2_limits(const config::Limits& limits, h2::Role role) noexcept;

// Why a message is not passed on whose list of fields is beyond a limit; `field` is the one that is, or null: all of
// them together. `whose` begins the sentence.
Text large_list_text(std::string_view whose, const h2::Field* field, const config::Limits& limits);

}  // namespace ringway::proxy
