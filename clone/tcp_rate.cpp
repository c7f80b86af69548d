// In a file of its own: <linux/tcp.h> knows more of tcp_info than <netinet/tcp.h>, and both in one
// file do not compile.
#include "clone/tcp_rate.hpp"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace coldspare::clone {

std::optional<double> tcp_delivery_rate(int socket) {
    tcp_info info{};
    socklen_t length = sizeof info;
    if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 ||
        info.tcpi_delivery_rate == 0 || info.tcpi_delivery_rate_app_limited != 0) {
        return std::nullopt;
    }
    return static_cast<double>(info.tcpi_delivery_rate);
}

} // namespace coldspare::clone
