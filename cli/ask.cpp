#include "cli/ask.hpp"

#include "base/error.hpp"

#include <array>
#include <cerrno>
#include <poll.h>
#include <unistd.h>

namespace coldspare::cli {

bool can_ask(const Output& output) {
    return output.format() == Format::text && ::isatty(STDIN_FILENO) == 1 &&
           ::isatty(STDERR_FILENO) == 1;
}

std::string ask(Output& output, std::string_view prompt, std::stop_token stop) {
    constexpr int patience = 200; // ms, between looks at the stop token
    constexpr std::size_t longest = 4096;
    output.prompt(prompt);
    std::string line;
    while (line.size() < longest) {
        if (stop.stop_requested()) {
            output.prompt("\n");
            throw interrupted();
        }
        pollfd input{STDIN_FILENO, POLLIN, 0};
        if (::poll(&input, 1, patience) <= 0) {
            continue;
        }
        std::array<char, 256> bytes{};
        const ssize_t count = ::read(STDIN_FILENO, bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            output.prompt("\n");
            return {};
        }
        line.append(bytes.data(), static_cast<std::size_t>(count));
        if (const std::size_t end = line.find('\n'); end != std::string::npos) {
            return line.substr(0, end);
        }
    }
    return {};
}

} // namespace coldspare::cli
