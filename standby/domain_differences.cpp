#include "base/text.hpp"
#include "standby/domain_xml.hpp"
#include "standby/xml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace coldspare::standby {

namespace {

/// By what a person tells one element from another of its name: an attribute of it, or of a child.
struct Key {
    std::string_view element;
    std::string_view child; ///< empty: of the element itself
    std::string_view attribute;
};

constexpr std::array<Key, 9> keys{{{"disk", "target", "dev"},
                                   {"interface", "mac", "address"},
                                   {"controller", "", "type"},
                                   {"controller", "", "index"},
                                   {"channel", "target", "name"},
                                   {"serial", "target", "port"},
                                   {"timer", "", "name"},
                                   {"feature", "", "name"},
                                   {"qemu:arg", "", "value"}}};

/// Devices that connect a machine with something: one more than asked for matters.
constexpr std::array<std::string_view, 6> connections{"disk",       "interface", "hostdev",
                                                      "filesystem", "redirdev",  "shmem"};

std::string key_of(const XmlElement& element) {
    std::string result;
    for (const Key& key : keys) {
        if (key.element != element.name) {
            continue;
        }
        const XmlElement* where = key.child.empty() ? &element : element.child(key.child);
        const std::string_view value = where == nullptr ? "" : where->attribute(key.attribute);
        // libvirt numbers what has no number from 0, for USB even where there is none.
        const bool is_first = key.attribute == "index" && value == "0";
        if (!value.empty() && !is_first) {
            result += (result.empty() ? "" : " ") + std::string(value);
        }
    }
    return result;
}

std::string label_of(const XmlElement& element) {
    const std::string key = key_of(element);
    return key.empty() ? printable(element.name)
                       : fmt::format("{} '{}'", printable(element.name), printable(key));
}

/// "q35" is what libvirt writes as "pc-q35-7.2", the newest at that time.
bool is_same_machine(std::string_view wanted, std::string_view defined) {
    return wanted == defined || (wanted == "q35" && defined.starts_with("pc-q35-")) ||
           (wanted == "pc" && defined.starts_with("pc-i440fx-")) ||
           (wanted == "virt" && defined.starts_with("virt-"));
}

class Comparison {
public:
    void compare(const XmlElement& wanted, const XmlElement& defined, const std::string& label) {
        for (const XmlAttribute& attribute : wanted.attributes) {
            compare_attribute(wanted, attribute, defined, label);
        }
        if (!wanted.text.empty() && wanted.text != defined.text) {
            say(fmt::format("{} is '{}', not '{}'", label, printable(defined.text),
                            printable(wanted.text)));
        }
        std::set<const XmlElement*> used;
        for (const XmlElement& child : wanted.children) {
            const std::string name = below(label, child);
            if (const XmlElement* twin = find_twin(child, defined, used)) {
                used.insert(twin);
                compare(child, *twin, name);
            } else {
                say((name.empty() ? child.name : name) + " is missing");
            }
        }
        for (const XmlElement& child : defined.children) {
            if (!used.contains(&child) &&
                std::ranges::find(connections, child.name) != connections.end()) {
                say(below(label, child) + " is one more than there should be");
            }
        }
    }

    [[nodiscard]] std::vector<std::string> sentences() && { return std::move(sentences_); }

private:
    void say(std::string sentence) { sentences_.push_back(std::move(sentence)); }

    /// A person does not need to be told that it is about the domain and its devices.
    static std::string below(const std::string& label, const XmlElement& child) {
        if (child.name == "devices" && label.empty()) {
            return {};
        }
        return label.empty() ? label_of(child) : fmt::format("{}, {}", label, label_of(child));
    }

    static const XmlElement* find_twin(const XmlElement& wanted, const XmlElement& defined,
                                       const std::set<const XmlElement*>& used) {
        const std::string key = key_of(wanted);
        const auto found = std::ranges::find_if(defined.children, [&](const XmlElement& candidate) {
            return candidate.name == wanted.name && !used.contains(&candidate) &&
                   key_of(candidate) == key;
        });
        return found == defined.children.end() ? nullptr : &*found;
    }

    void compare_attribute(const XmlElement& wanted, const XmlAttribute& attribute,
                           const XmlElement& defined, const std::string& label) {
        if (attribute.name.starts_with("xmlns:") ||
            (wanted.name == "coldspare:domain" && attribute.name == "version")) {
            return;
        }
        const std::string_view value = defined.attribute(attribute.name);
        const bool is_same = attribute.name == "machine" ? is_same_machine(attribute.value, value)
                                                         : attribute.value == value;
        if (!is_same) {
            const std::string where = label.empty() ? "domain" : label;
            say(value.empty() ? fmt::format("{}: {} is not '{}'", where, attribute.name,
                                            printable(attribute.value))
                              : fmt::format("{}: {} is '{}', not '{}'", where, attribute.name,
                                            printable(value), printable(attribute.value)));
        }
    }

    std::vector<std::string> sentences_;
};

} // namespace

std::vector<std::string> domain_differences(std::string_view wanted, std::string_view defined) {
    Comparison comparison;
    comparison.compare(parse_xml(wanted), parse_xml(defined), "");
    return std::move(comparison).sentences();
}

} // namespace coldspare::standby
