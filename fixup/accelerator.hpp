#pragma once

#include <chrono>
#include <stop_token>
#include <string>
#include <string_view>

namespace coldspare::fixup {

/// What executes a virtual machine's instructions: the processor, or QEMU by translation.
enum class Accelerator { kvm, tcg };

/// "kvm", "tcg".
[[nodiscard]] std::string_view accelerator_word(Accelerator accelerator);

/// The answer of the probe, and for a person why.
struct AcceleratorProbe {
    Accelerator accelerator = Accelerator::tcg;
    std::string reason;
};

/// Finds out whether KVM really runs a Linux kernel here: /dev/kvm may exist, and even run a BIOS,
/// where a kernel hangs at its first instruction (nested virtualization that is only half there).
/// Boots the newest kernel of this machine until it says "Linux version". Blocks for up to five
/// seconds; any doubt means TCG. That it did not is remembered in /run/coldspare/kvm-fails until
/// this machine starts again, if that can be written. Throws only interrupted().
[[nodiscard]] AcceleratorProbe probe_accelerator(std::stop_token stop = {});

} // namespace coldspare::fixup
