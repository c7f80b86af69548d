// Names that nothing in the copy gives to the VM's cards: the kernel's own (eth0 of the first card)
// and the predictable ones, which come from slots of the old server (enp3s0, em1, ens192). They are
// kept, because addresses, bonds, VLANs and firewalls refer to them.
#include "fixup/fixes.hpp"
#include "fixup/pinning.hpp"
#include "fixup/rules_files.hpp"
#include "fixup/udev_rewrite.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace coldspare::fixup {

namespace {

constexpr const char* why = "the VM's card keeps the name of the server's";

/// Names that the kernel gives out itself, in the order in which it finds cards.
bool is_of_kernel(const std::string& name) {
    return name.starts_with("eth") && name.size() > 3 &&
           name.find_first_not_of("0123456789", 3) == std::string::npos;
}

void add_link(const PlanInput& input, const NicBinding& nic, FixPlan& plan) {
    const std::string path = fmt::format("/etc/systemd/network/10-coldspare-{}.link", nic.name);
    const std::string* there = input.files.text(path);
    plan.edits.push_back(
        {.path = path,
         .before = there == nullptr ? std::nullopt : std::optional<std::string>(*there),
         .after = link_file(nic, systemd_version(input.facts)),
         .why = why,
         .reach = Reach::initramfs});
}

void add_rules(const PlanInput& input, const std::vector<NicBinding>& nics, FixPlan& plan) {
    const std::string path = file_for_new_rules(input.files);
    const std::string* there = input.files.text(path);
    std::string content = there == nullptr ? "" : *there;
    for (const NicBinding& nic : nics) {
        content = append_rule(content, nic, dialect_of(content));
    }
    plan.edits.push_back(
        {.path = path,
         .before = there == nullptr ? std::nullopt : std::optional<std::string>(*there),
         .after = std::move(content),
         .why = why,
         .reach = Reach::initramfs});
}

} // namespace

FixPlan plan_name_pinning(const PlanInput& input) {
    const std::set<std::string> pinned = names_pinned_in(input.files, input.wishes.nics);
    std::vector<NicBinding> open;
    std::vector<std::string> words;
    for (const NicBinding& nic : input.wishes.nics) {
        if (!pinned.contains(nic.name)) {
            open.push_back(nic);
            words.push_back(fmt::format("{} is {}", nic.name, nic.mac));
        }
    }
    if (open.empty()) {
        return {.detail = "every card of the VM has its name already"};
    }
    const PinWay way = pin_way(input.facts);
    if (way == PinWay::none && input.wishes.nics.size() == 1 && open.front().name == "eth0") {
        return {.detail = "nothing names the card, and the kernel calls the only one eth0"};
    }
    if (way == PinWay::none) {
        return {.outcome = Outcome::cannot,
                .detail = fmt::format("neither udev's rules nor systemd name network cards here, "
                                      "and nothing names {}",
                                      open.front().name),
                .hint =
                    "give the VM its cards in the order of their names, and leave this out with "
                    "--skip name-pinning"};
    }
    FixPlan plan{.outcome = Outcome::planned};
    for (const NicBinding& nic : open) {
        if (way != PinWay::rule) {
            add_link(input, nic, plan);
        }
    }
    if (way != PinWay::link) {
        add_rules(input, open, plan);
    }
    std::vector<std::string> paths;
    for (const FileEdit& edit : plan.edits) {
        paths.push_back(edit.path);
    }
    plan.detail = fmt::format("{} by {}", fmt::join(words, ", "), fmt::join(paths, ", "));
    const auto of_kernel = [](const NicBinding& nic) { return is_of_kernel(nic.name); };
    if (way != PinWay::rule && std::ranges::count_if(open, of_kernel) > 1) {
        plan.warnings.emplace_back(
            "several names are the kernel's own (ethN), which it gives out itself while they are "
            "being set: give the VM its cards in the order of their names");
    }
    return plan;
}

} // namespace coldspare::fixup
