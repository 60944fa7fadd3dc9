// The configured limits as a connection of either role takes them.
#pragma once

#include <string_view>

#include "config/snapshot.h"
#include "h2/connection.h"
#include "proxy/text.h"

namespace ringway::proxy {

h2::Limits h2_limits(const config::Limits& limits, h2::Role role) noexcept;

// Why a message is not passed on of which one field is beyond its limit. `whose` begins the sentence.
Text large_field_text(std::string_view whose, const h2::Field& field, const config::Limits& limits);

}  // namespace ringway::proxy
