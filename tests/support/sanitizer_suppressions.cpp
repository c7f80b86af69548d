// libparted 3.5 looks beyond the end of a line that it has read with getdelim(3), while it is
// loaded and before main() (the sanitizer names ped_disk_gpt_init). That is not ours to mend.
extern "C" const char* __asan_default_suppressions();

extern "C" const char* __asan_default_suppressions() {
    return "interceptor_via_lib:libparted\n";
}
