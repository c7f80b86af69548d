// Any bytes as a boot loader's configuration: the pieces lie inside it and do not overlap, and a
// replacement that changes nothing gives the same bytes.
#include "fixup/kernel_arguments.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

using namespace coldspare::fixup;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const ArgumentSyntax syntax :
         {ArgumentSyntax::grub2, ArgumentSyntax::bls, ArgumentSyntax::grubenv,
          ArgumentSyntax::shell, ArgumentSyntax::plain, ArgumentSyntax::grub1,
          ArgumentSyntax::lilo}) {
        std::vector<Replacement> same;
        std::size_t end = 0;
        for (const KernelArgument& argument : kernel_arguments(syntax, text)) {
            if (argument.piece.begin < end || argument.piece.end() > size ||
                text.substr(argument.piece.begin, argument.piece.text.size()) !=
                    argument.piece.text) {
                std::abort();
            }
            end = argument.piece.end();
            if (const std::optional<Piece> device = device_in(argument)) {
                if (device->begin < argument.piece.begin || device->end() > end) {
                    std::abort();
                }
                same.push_back({device->begin, device->text.size(), std::string(device->text)});
            }
        }
        const std::optional<std::string> after = replace_arguments(syntax, text, std::move(same));
        if (!after || *after != text) {
            std::abort();
        }
    }
    return 0;
}
