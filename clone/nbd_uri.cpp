#include "clone/nbd_uri.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "clone/digest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace coldspare::clone {

namespace {

constexpr std::array<std::string_view, 6> schemes{"nbd",       "nbds",      "nbd+unix",
                                                  "nbds+unix", "nbd+vsock", "nbds+vsock"};
constexpr std::string_view usual_port = "10809";

/// What is before `mark` is taken off `text`, with the mark; all of it where there is none.
std::string_view take_until(std::string_view& text, char mark) {
    const std::size_t at = text.find(mark);
    const std::string_view taken = text.substr(0, at);
    text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
    return taken;
}

/// RFC 3986 2.1. What is no escape stays as it is.
std::string unescaped(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const std::optional<std::string> byte =
            text[i] == '%' ? from_hex(text.substr(i + 1, 2)) : std::nullopt;
        if (byte && byte->size() == 1) {
            result += *byte;
            i += 2;
        } else {
            result += text[i];
        }
    }
    return result;
}

std::string in_small_letters(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
    return result;
}

std::string socket_in(std::string_view query) {
    while (!query.empty()) {
        std::string_view value = take_until(query, '&');
        if (take_until(value, '=') == "socket") {
            return unescaped(value);
        }
    }
    return {};
}

/// Host and port: "HOST", "HOST:PORT", "[ADDRESS]:PORT".
std::string with_port(std::string_view authority) {
    const std::size_t colon = authority.rfind(':');
    const bool has_port =
        colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
    const std::string_view host = has_port ? authority.substr(0, colon) : authority;
    const std::string_view port = has_port ? authority.substr(colon + 1) : std::string_view();
    return fmt::format("{}:{}", in_small_letters(host), port.empty() ? usual_port : port);
}

bool is_this_machine(std::string_view server) {
    return server.starts_with("localhost:") || server.starts_with("127.") ||
           server.starts_with("[::1]:") || server.starts_with(':');
}

} // namespace

bool is_nbd_uri(const std::filesystem::path& name) {
    const std::string& text = name.native();
    const std::size_t colon = text.find(':');
    return colon != std::string::npos && text.compare(colon, 3, "://") == 0 &&
           std::ranges::find(schemes, std::string_view(text).substr(0, colon)) != schemes.end();
}

NbdPlace parse_nbd_uri(const std::filesystem::path& uri) {
    if (!is_nbd_uri(uri)) {
        throw usage_error(fmt::format("'{}' is no NBD URI", uri.string()),
                          "nbd://HOST:PORT/EXPORT or nbd+unix:///EXPORT?socket=PATH");
    }
    std::string_view rest = uri.native();
    const std::string_view scheme = take_until(rest, ':');
    rest.remove_prefix(2);
    std::string_view query = rest;
    rest = take_until(query, '?');
    std::string_view authority = take_until(rest, '/');
    if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
        if (authority.substr(0, at).find(':') != std::string_view::npos) {
            throw usage_error(
                fmt::format("the NBD URI of '{}' has a password", authority.substr(at + 1)),
                "NBD has none: leave it out; a pre-shared key is named by "
                "tls-psk-file=FILE");
        }
        authority.remove_prefix(at + 1);
    }
    NbdPlace place{.server = {}, .exported = unescaped(rest)};
    if (scheme.ends_with("+unix")) {
        const std::string socket = socket_in(query);
        if (socket.empty()) {
            throw usage_error(fmt::format("'{}' does not say where its socket is", uri.string()),
                              "nbd+unix:///EXPORT?socket=PATH");
        }
        std::error_code none;
        const auto absolute = std::filesystem::weakly_canonical(socket, none);
        place.server = "unix:" + (none ? socket : absolute.string());
        place.local = true;
    } else if (scheme.ends_with("+vsock")) {
        place.server = "vsock:" + with_port(authority);
        place.local = true;
    } else {
        const std::string server = with_port(authority);
        place.server = "tcp:" + server;
        place.local = is_this_machine(server);
    }
    return place;
}

std::string file_name_of(const NbdPlace& place) {
    constexpr std::size_t longest = 100;
    constexpr std::size_t digits = 16;
    std::string name = fmt::format("nbd-{}-{}", place.server, place.exported);
    // Of two places with equal letters the digest differs.
    const std::string digest = hex(sha256(as_byte_span(place.server + '\n' + place.exported)));
    for (char& c : name) {
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                           (c >= 'A' && c <= 'Z') || c == '-' || c == '.';
        c = plain ? c : '_';
    }
    return name.substr(0, longest) + "-" + digest.substr(0, digits);
}

} // namespace coldspare::clone
