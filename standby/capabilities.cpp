#include "standby/capabilities.hpp"

#include "base/error.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <fmt/format.h>
#include <pugixml.hpp>
#include <utility>

namespace coldspare::standby {

namespace {

constexpr std::size_t most_loaders = 256;

std::string lower(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return result;
}

/// The name of the variables' template beside a loader of this name; empty for a name of no known
/// form.
std::string variables_name(std::string_view name) {
    // Upstream QEMU has one template for both widths.
    constexpr std::array<std::pair<std::string_view, std::string_view>, 3> known{{
        {"edk2-x86_64-code.fd", "edk2-i386-vars.fd"},
        {"edk2-aarch64-code.fd", "edk2-arm-vars.fd"},
        {"QEMU_EFI-pflash.raw", "vars-template-pflash.raw"},
    }};
    for (const auto& [code, variables] : known) {
        if (name == code) {
            return std::string(variables);
        }
    }
    // OVMF_CODE_4M.fd and OVMF_VARS_4M.fd; ovmf-x86_64-code.bin and ovmf-x86_64-vars.bin.
    constexpr std::array<std::pair<std::string_view, std::string_view>, 2> words{
        {{"CODE", "VARS"}, {"code", "vars"}}};
    for (const auto& [code, variables] : words) {
        const std::size_t at = name.rfind(code);
        if (at != std::string_view::npos) {
            std::string result(name);
            return result.replace(at, code.size(), variables);
        }
    }
    return {};
}

/// Whether it refuses systems that nobody has signed, or is not a raw image.
bool is_unfit(std::string_view name) {
    const std::string text = lower(name);
    constexpr std::array<std::string_view, 6> marks{".ms.",   "-ms-",   "secboot",
                                                    "secure", ".qcow2", "snakeoil"};
    return std::ranges::any_of(
        marks, [&](std::string_view mark) { return text.find(mark) != std::string::npos; });
}

} // namespace

DomainCapabilities parse_domain_capabilities(std::string_view xml) {
    if (xml.size() > largest_capabilities) {
        throw Error(fmt::format("the hypervisor's capabilities have {}, more than {}",
                                format_bytes(xml.size()), format_bytes(largest_capabilities)));
    }
    pugi::xml_document document;
    const pugi::xml_parse_result parsed = document.load_buffer(xml.data(), xml.size());
    const pugi::xml_node all = document.child("domainCapabilities");
    if (!parsed || !all) {
        throw Error(fmt::format("the hypervisor's capabilities cannot be read: {}",
                                parsed ? "no <domainCapabilities>" : parsed.description()));
    }
    DomainCapabilities result{.type = printable(all.child_value("domain")),
                              .architecture = printable(all.child_value("arch"))};
    for (const pugi::xml_node value : all.child("os").child("loader").children("value")) {
        if (result.loaders.size() < most_loaders) {
            result.loaders.push_back(printable(value.child_value()));
        }
    }
    return result;
}

Firmware choose_firmware(std::span<const std::string> loaders) {
    for (const std::string& loader : loaders) {
        const std::size_t slash = loader.rfind('/');
        if (slash == std::string::npos) {
            continue;
        }
        const std::string_view name = std::string_view(loader).substr(slash + 1);
        const std::string variables = is_unfit(name) ? "" : variables_name(name);
        if (!variables.empty()) {
            return {.code = loader, .variables = loader.substr(0, slash + 1) + variables};
        }
    }
    return {};
}

} // namespace coldspare::standby
