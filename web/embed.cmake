# web_embed(<out.c> file...): the files of web/ as a table of constant bytes, made again when one of them changes.
function(web_embed out)
    set(paths "")
    foreach(name ${ARGN})
        list(APPEND paths ${CMAKE_SOURCE_DIR}/web/${name})
    endforeach()
    string(REPLACE ";" "," names "${ARGN}")
    add_custom_command(OUTPUT ${out}
        COMMAND ${CMAKE_COMMAND} -DDIR=${CMAKE_SOURCE_DIR}/web -DNAMES=${names} -DOUT=${out}
            -P ${CMAKE_SOURCE_DIR}/web/embed_files.cmake
        DEPENDS ${paths} ${CMAKE_SOURCE_DIR}/web/embed_files.cmake
        VERBATIM)
endfunction()
