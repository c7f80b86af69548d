#pragma once

#include <optional>

namespace coldspare::clone {

/// The rate at which the peer's TCP acknowledged data lately, in bytes a second; nothing if it is
/// not known, or if it only tells how much we gave TCP to send (tcp_info: tcpi_delivery_rate and
/// its app_limited bit, tcp(7)).
[[nodiscard]] std::optional<double> tcp_delivery_rate(int socket);

} // namespace coldspare::clone
