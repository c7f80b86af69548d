#include "standby/capabilities.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "standby/xml.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <fmt/format.h>
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
    const XmlElement all = parse_xml(xml);
    if (all.name != "domainCapabilities") {
        throw Error(fmt::format("the hypervisor's capabilities cannot be read: they are <{}>",
                                printable(all.name)));
    }
    const auto text_of = [&all](std::string_view name) {
        const XmlElement* child = all.child(name);
        return child == nullptr ? std::string() : printable(child->text);
    };
    DomainCapabilities result{.type = text_of("domain"), .architecture = text_of("arch")};
    const XmlElement* system = all.child("os");
    const XmlElement* loader = system == nullptr ? nullptr : system->child("loader");
    for (const XmlElement& value :
         loader == nullptr ? std::vector<XmlElement>() : loader->children) {
        if (value.name == "value" && result.loaders.size() < most_loaders) {
            result.loaders.push_back(printable(value.text));
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
