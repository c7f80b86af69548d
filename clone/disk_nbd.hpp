#pragma once

#include "clone/disk.hpp"

#include <filesystem>
#include <memory>

namespace coldspare::clone {

enum class NbdUse { read, write };

/// An export of an NBD server as a Disk, through libnbd. The server is connected to once, and again
/// for each queue if it offers that (NBD_FLAG_CAN_MULTI_CONN), and never again when a connection is
/// lost: what was written and not flushed is unknown then, and all that follows is an Error. Some
/// servers serve one client and end with it, so who needs a disk twice keeps it.
///
/// A flush is NBD_CMD_FLUSH, and means what the server makes of it; a read may come from the
/// server's cache. Zeros are NBD_CMD_WRITE_ZEROES, which reads back as zeros whether or not the
/// server makes a hole of it; trimming promises nothing and is not used. Extents are what
/// base:allocation says reads as zeros. Waits for a server that is there and does not answer, as
/// for a disk; one that cannot be reached any more is noticed within a minute.
///
/// Throws Error: status 2 for a URI that is wrong, or DirectIo::on, which is the server's affair;
/// for NbdUse::write status 4 if the export is read-only or cannot be flushed; also if it is empty,
/// or its smallest block is more than io_alignment.
[[nodiscard]] std::unique_ptr<Disk> open_nbd(const std::filesystem::path& uri, NbdUse use,
                                             DirectIo direct);

} // namespace coldspare::clone
