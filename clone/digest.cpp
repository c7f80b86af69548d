#include "clone/digest.hpp"

#include "base/error.hpp"
#include "base/handle.hpp"
#include "base/text.hpp"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <xxhash.h>
#ifdef __x86_64__
#include <xxh_x86dispatch.h> // makes XXH3_128bits() take the vector unit that the processor has
#endif

#include <cassert>
#include <cstring>

namespace coldspare::clone {

namespace {

/// SHA-256 over several pieces.
class Sha256Stream {
public:
    Sha256Stream() : context_(EVP_MD_CTX_new()) {
        if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) {
            throw Error("cannot compute SHA-256: OpenSSL has no such digest");
        }
    }
    void add(std::span<const std::byte> bytes) {
        EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
    }
    [[nodiscard]] Sha256 finish() {
        Sha256 digest{};
        unsigned length = 0;
        EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()),
                           &length);
        assert(length == digest.size());
        return digest;
    }

private:
    Handle<EVP_MD_CTX, EVP_MD_CTX_free> context_;
};

template <typename T>
std::array<std::byte, sizeof(T)> little_endian(T value) {
    std::array<std::byte, sizeof(T)> bytes{};
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        bytes[i] = static_cast<std::byte>(value >> (8 * i));
    }
    return bytes;
}

} // namespace

Leaf hash_block(std::span<const std::byte> block) {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(block.data(), block.size()));
    Leaf leaf;
    static_assert(sizeof(canonical.digest) == sizeof(Leaf));
    std::memcpy(leaf.data(), canonical.digest, sizeof(Leaf));
    return leaf;
}

std::uint64_t hash_header(std::span<const std::byte> bytes) {
    return XXH3_64bits(bytes.data(), bytes.size());
}

Leaf zero_leaf(std::uint32_t length) {
    static const std::vector<std::byte> zeros(largest_block_size);
    assert(length <= zeros.size());
    if (length == default_block_size) {
        static const Leaf leaf = hash_block(std::span(zeros).first(default_block_size));
        return leaf;
    }
    return hash_block(std::span(zeros).first(length));
}

bool is_zero(std::span<const std::byte> bytes) {
    // The buffer equals itself shifted by 16 bytes, and its first 16 bytes are zero: memcmp leaves
    // at the first difference, and the first word settles it for nearly all data.
    constexpr std::size_t head = 16;
    const std::size_t first = bytes.size() < head ? bytes.size() : head;
    for (std::size_t i = 0; i < first; ++i) {
        if (bytes[i] != std::byte{0}) {
            return false;
        }
    }
    return bytes.size() <= head ||
           std::memcmp(bytes.data(), bytes.data() + head, bytes.size() - head) == 0;
}

Sha256 root_of(const Geometry& geometry, std::span<const Leaf> leaves) {
    assert(leaves.size() == geometry.block_count());
    Sha256Stream stream;
    constexpr std::string_view prefix = "coldspare root 1\n";
    stream.add(std::as_bytes(std::span(prefix)));
    stream.add(little_endian(geometry.size));
    stream.add(little_endian(geometry.block_size));
    stream.add(std::as_bytes(leaves));
    return stream.finish();
}

Sha256 sha256(std::span<const std::byte> bytes) {
    Sha256Stream stream;
    stream.add(bytes);
    return stream.finish();
}

Sha256 sha256_of_pieces(std::span<const std::string_view> pieces) {
    Sha256Stream stream;
    for (const std::string_view piece : pieces) {
        stream.add(std::as_bytes(std::span(piece)));
    }
    return stream.finish();
}

std::string hex(const Sha256& digest) {
    return to_hex(std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

std::vector<std::byte> random_bytes(std::size_t count) {
    std::vector<std::byte> bytes(count);
    if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) != 1) {
        throw Error("cannot make a random number: the system's generator is not ready");
    }
    return bytes;
}

} // namespace coldspare::clone
