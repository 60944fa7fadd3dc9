// The configured limits as a connection of either role takes them.
#pragma once

#include "config/snapshot.h"
#include "h2/connection.h"

namespace ringway::proxy {

h2::Limits h2_limits(const config::Limits& limits, h2::Role role) noexcept;

}  // namespace ringway::proxy
