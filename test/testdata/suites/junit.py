"""Prints the results of tests in an XML file of JUnit's format."""
import sys
import xml.etree.ElementTree

kinds = {"error": "ERROR", "failure": "FAIL", "skipped": "SKIP"}
for case in xml.etree.ElementTree.parse(sys.argv[1]).iter("testcase"):
    result = next((kinds[child.tag] for child in case if child.tag in kinds), "PASS")
    print(result, case.get("name"))
