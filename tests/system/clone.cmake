# The clone engine with the real program, real devices and a bad network: seconds, as root. The limits are for what hangs
# and for the nightly forms.
foreach(name clone-refusals clone-disks clone-faults pairing)
  add_test(NAME ${name} COMMAND ${CMAKE_CURRENT_LIST_DIR}/${name})
  set_tests_properties(${name} PROPERTIES LABELS "system;fault" SKIP_RETURN_CODE 77 TIMEOUT 1800
    ENVIRONMENT "COLDSPARE=$<TARGET_FILE:coldspare>;BUILD_DIR=${CMAKE_BINARY_DIR}")
endforeach()

# And with faults: killed processes, lost connections, failing disks, full file systems, huge ones.
foreach(name clone-resume clone-bad-sectors clone-flush clone-full clone-memory)
  add_test(NAME ${name} COMMAND ${CMAKE_CURRENT_LIST_DIR}/${name})
  set_tests_properties(${name} PROPERTIES LABELS "system;fault" SKIP_RETURN_CODE 77 TIMEOUT 1800
    ENVIRONMENT "COLDSPARE=$<TARGET_FILE:coldspare>;BUILD_DIR=${CMAKE_BINARY_DIR}")
endforeach()

foreach(name clone-reclone clone-generations clone-several clone-nbd clone-inventory)
  add_test(NAME ${name} COMMAND ${CMAKE_CURRENT_LIST_DIR}/${name})
  set_tests_properties(${name} PROPERTIES LABELS "system;fault;reclone" SKIP_RETURN_CODE 77 TIMEOUT 1800
    ENVIRONMENT "COLDSPARE=$<TARGET_FILE:coldspare>;BUILD_DIR=${CMAKE_BINARY_DIR}")
endforeach()
