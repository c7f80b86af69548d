#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace coldspare::clone {

/// Whether this names an export of an NBD server (nbd:, nbds:, nbd+unix:, nbds+unix:, nbd+vsock:,
/// nbds+vsock:), and no path. Source: the NBD URI specification
/// (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/uri.md).
[[nodiscard]] bool is_nbd_uri(const std::filesystem::path& name);

/// What of an NBD URI says which bytes are meant. TLS and the user's name do not.
struct NbdPlace {
    std::string server;   ///< "tcp:HOST:PORT" in small letters, "unix:/PATH", "vsock:CID:PORT"
    std::string exported; ///< the export's name; may be empty
    bool local = false;   ///< the server is on this machine, and its name is good nowhere else
    bool operator==(const NbdPlace&) const = default;
};

/// Throws Error (status 2) for a URI that is none, that lacks the path of its socket, or that has a
/// password: NBD knows none, and it would be shown. Says nothing of whether somebody listens there.
[[nodiscard]] NbdPlace parse_nbd_uri(const std::filesystem::path& uri);

/// A file name of its own for each place; equal for two URIs of one place.
[[nodiscard]] std::string file_name_of(const NbdPlace& place);

} // namespace coldspare::clone
