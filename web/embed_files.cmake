# Run by web_embed(): writes OUT from the files NAMES (separated by commas) of DIR.
set(types "html=text/html; charset=utf-8|css=text/css; charset=utf-8|js=text/javascript; charset=utf-8|svg=image/svg+xml")
string(REPLACE "," ";" names "${NAMES}")
set(arrays "")
set(rows "")
set(i 0)
foreach(name ${names})
    file(READ ${DIR}/${name} hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
    get_filename_component(ext ${name} LAST_EXT)
    string(SUBSTRING "${ext}" 1 -1 ext)
    string(REGEX MATCH "${ext}=([^|]*)" found "${types}")
    string(APPEND arrays "static const unsigned char file${i}[] = {\n${bytes}\n};\n")
    string(APPEND rows "    { \"${name}\", \"${CMAKE_MATCH_1}\", { (const char *)file${i}, sizeof file${i} } },\n")
    math(EXPR i "${i} + 1")
endforeach()
file(WRITE ${OUT} "/* Made from web/ by the build. */
#include \"http/http_priv.h\"

${arrays}
static const struct web_file files[] = {
${rows}};

const struct web_file *
web_file_find(struct str path)
{
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (str_is(path, files[i].path))
            return &files[i];
    return NULL;
}
")
