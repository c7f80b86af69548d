#include "fixup/kernel_arguments.hpp"

#include <algorithm>
#include <array>

namespace coldspare::fixup {

namespace {

constexpr std::size_t most_arguments = 10000;
constexpr std::size_t grubenv_size = 1024; // GRUB's manual, "Environment block"

constexpr std::string_view separators = " \t\r\"'";

std::string_view directory_of(std::string_view path) {
    return path.substr(0, path.rfind('/'));
}

ArgumentSyntax syntax_of(std::string_view path) {
    if (path.find("/loader/entries/") != std::string_view::npos) {
        return ArgumentSyntax::bls;
    }
    if (path.ends_with("/grubenv")) {
        return ArgumentSyntax::grubenv;
    }
    if (path.ends_with("/grub.cfg")) {
        return ArgumentSyntax::grub2;
    }
    if (path.ends_with("/menu.lst") || path.ends_with("/grub.conf")) {
        return ArgumentSyntax::grub1;
    }
    if (path.ends_with("lilo.conf")) {
        return ArgumentSyntax::lilo;
    }
    return path == "/etc/kernel/cmdline" ? ArgumentSyntax::plain : ArgumentSyntax::shell;
}

enum class Role { live, setting };

/// Collects the words of command lines.
class Collector {
public:
    void add(const TextLine& line, Piece words, Role role) {
        for (const Piece& word : words_in(words, separators)) {
            if (arguments_.size() < most_arguments) {
                arguments_.push_back({word, line.number, role == Role::live && !seen_one_});
            }
        }
        seen_one_ = seen_one_ || role == Role::live;
    }
    [[nodiscard]] std::vector<KernelArgument> take() { return std::move(arguments_); }

private:
    std::vector<KernelArgument> arguments_;
    bool seen_one_ = false;
};

/// What follows the first word of a line, if that is one of `commands`, and the file name behind.
std::optional<Piece> behind_command(const TextLine& line,
                                    std::span<const std::string_view> commands) {
    const std::vector<Piece> words = words_in(line.piece);
    if (words.size() < 2 || std::ranges::find(commands, words[0].text) == commands.end()) {
        return std::nullopt;
    }
    return part_of(line.piece, words[1].begin - line.piece.begin);
}

void collect_grub2(const TextLine& line, Collector& into) {
    constexpr std::array<std::string_view, 3> commands{"linux", "linux16", "linuxefi"};
    constexpr std::array<std::string_view, 2> modules{"module", "module2"}; // a kernel below Xen
    std::optional<Piece> rest = behind_command(line, commands);
    if (!rest) {
        rest = behind_command(line, modules);
        if (rest && rest->text.find("root=") == std::string_view::npos) {
            return;
        }
    }
    if (rest) {
        into.add(line, *rest, Role::live);
    }
}

/// menu.lst of Debian has its settings in comments: "# kopt=root=/dev/hda1 ro".
void collect_grub1(const TextLine& line, Collector& into) {
    constexpr std::array<std::string_view, 2> commands{"kernel", "module"};
    if (const std::optional<Piece> rest = behind_command(line, commands)) {
        into.add(line, *rest, Role::live);
        return;
    }
    const std::string_view text = line.piece.text;
    const std::size_t equals = text.find('=');
    for (const std::string_view name : {"# kopt", "# xenkopt", "# defoptions", "# altoptions"}) {
        if (text.starts_with(name) && equals != text.npos &&
            text.substr(0, equals).find(' ', 2) == text.npos) {
            into.add(line, part_of(line.piece, equals + 1), Role::setting);
            return;
        }
    }
}

void collect_shell(const TextLine& line, Collector& into) {
    constexpr std::array<std::string_view, 8> names{
        "GRUB_CMDLINE_LINUX", "DEFAULT_APPEND", "FAILSAFE_APPEND",  "XEN_KERNEL_APPEND",
        "XEN_APPEND",         "XEN_VM_APPEND",  "GRUB_CMDLINE_XEN", "IMAGE_APPEND"};
    std::string_view text = line.piece.text;
    const std::size_t start = std::min(text.find_first_not_of(" \t"), text.size());
    const std::size_t equals = text.find('=');
    if (equals != text.npos && equals >= start &&
        std::ranges::any_of(names, [&](std::string_view name) {
            return text.substr(start, equals - start).starts_with(name);
        })) {
        into.add(line, part_of(line.piece, equals + 1), Role::setting);
    }
}

void collect_lilo(const TextLine& line, Collector& into) {
    const std::string_view text = line.piece.text;
    const std::size_t start = std::min(text.find_first_not_of(" \t"), text.size());
    const std::string_view bare = text.substr(start);
    if (bare.starts_with("append")) {
        into.add(line, part_of(line.piece, std::min(text.find('='), text.size() - 1) + 1),
                 Role::setting);
    } else if (bare.starts_with("root") || bare.starts_with("boot")) {
        into.add(line, part_of(line.piece, start), Role::setting);
    }
}

void collect_bls(const TextLine& line, Collector& into) {
    constexpr std::array<std::string_view, 1> commands{"options"};
    if (const std::optional<Piece> rest = behind_command(line, commands)) {
        into.add(line, *rest, Role::live);
    }
}

void collect(ArgumentSyntax syntax, const TextLine& line, Collector& into) {
    constexpr std::string_view variable = "kernelopts=";
    switch (syntax) {
    case ArgumentSyntax::grub2:
        collect_grub2(line, into);
        break;
    case ArgumentSyntax::bls:
        collect_bls(line, into);
        break;
    case ArgumentSyntax::grubenv:
        if (line.piece.text.starts_with(variable)) {
            into.add(line, part_of(line.piece, variable.size()), Role::live);
        }
        break;
    case ArgumentSyntax::shell:
        collect_shell(line, into);
        break;
    case ArgumentSyntax::plain:
        into.add(line, line.piece, Role::live);
        break;
    case ArgumentSyntax::grub1:
        collect_grub1(line, into);
        break;
    case ArgumentSyntax::lilo:
        collect_lilo(line, into);
        break;
    }
}

} // namespace

std::string_view KernelArgument::name() const {
    return piece.text.substr(0, piece.text.find('='));
}

Piece KernelArgument::value() const {
    const std::size_t equals = piece.text.find('=');
    return part_of(piece, equals == piece.text.npos ? piece.text.size() : equals + 1);
}

std::vector<ArgumentFile> argument_files(const FileTree& files) {
    std::vector<ArgumentFile> found;
    for (const std::string_view pattern : argument_patterns) {
        const std::size_t star = pattern.find('*');
        if (star == std::string_view::npos) {
            if (files.text(pattern) != nullptr) {
                found.push_back({std::string(pattern), syntax_of(pattern)});
            }
            continue;
        }
        for (const std::string& path : files.in(directory_of(pattern), pattern.substr(star + 1))) {
            if (files.text(path) != nullptr) {
                found.push_back({path, syntax_of(path)});
            }
        }
    }
    const bool has_grub2 = std::ranges::any_of(found, [&files](const ArgumentFile& file) {
        return file.path.ends_with("/grub.cfg") &&
               !kernel_arguments(file.syntax, *files.text(file.path)).empty();
    });
    for (ArgumentFile& file : found) {
        file.leftover = has_grub2 && (file.syntax == ArgumentSyntax::grub1 ||
                                      file.syntax == ArgumentSyntax::lilo);
    }
    return found;
}

std::vector<KernelArgument> kernel_arguments(ArgumentSyntax syntax, std::string_view text) {
    Collector arguments;
    for (const TextLine& line : text_lines(text)) {
        const std::size_t start = line.piece.text.find_first_not_of(" \t");
        const bool comment = start != std::string_view::npos && line.piece.text[start] == '#';
        if (!comment || syntax == ArgumentSyntax::grub1) {
            collect(syntax, line, arguments);
        }
    }
    return arguments.take();
}

std::optional<std::string> replace_arguments(ArgumentSyntax syntax, std::string_view text,
                                             std::vector<Replacement> replacements) {
    std::string result = replaced(text, std::move(replacements));
    if (syntax != ArgumentSyntax::grubenv || result.size() == text.size()) {
        return result;
    }
    const std::size_t used = result.find_last_not_of('#') + 1;
    if (text.size() != grubenv_size || used > grubenv_size) {
        return std::nullopt;
    }
    result.resize(used);
    result.resize(grubenv_size, '#');
    return result;
}

std::optional<Piece> device_in(const KernelArgument& argument) {
    constexpr std::array<std::string_view, 4> plain{"root", "resume", "real_root", "real_resume"};
    const std::string_view name = argument.name();
    const Piece value = argument.value();
    if (std::ranges::find(plain, name) != plain.end()) {
        return value.text.empty() ? std::nullopt : std::optional(value);
    }
    if (name == "cryptdevice") { // DEVICE:NAME[:OPTIONS]
        return part_of(value, 0, value.text.find(':'));
    }
    if (name == "cryptopts") { // target=NAME,source=DEVICE,...
        for (const Piece& option : words_in(value, ",")) {
            constexpr std::string_view source = "source=";
            if (option.text.starts_with(source)) {
                return part_of(option, source.size());
            }
        }
    }
    return std::nullopt;
}

} // namespace coldspare::fixup
