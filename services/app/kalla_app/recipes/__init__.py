"""Recipes: every save is a version, and what does not validate is not saved.

complete    a recipe with its sources found and its parameters set; pure
shelf       saves, lists and removes
"""
