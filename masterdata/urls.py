"""URLs of the room."""

from django.urls import path

from masterdata.views.addresses import AddressDeletePage, AddressList, AddressPage
from masterdata.views.audit import AuditPage
from masterdata.views.employees import EmployeeDeletePage, EmployeeList, EmployeePage
from masterdata.views.projects import ProjectDeletePage, ProjectList, ProjectPage
from masterdata.views.settings import CompanyPage, SettingsIndex
from masterdata.views.users import UserCreatePage, UserList, UserPage, UserPasswordPage

app_name = "masterdata"
urlpatterns = [
    path("settings/", SettingsIndex.as_view(), name="settings"),
    path("company/", CompanyPage.as_view(), name="company"),
    path("projects/", ProjectList.as_view(), name="project_list"),
    path("projects/new/", ProjectPage.as_view(), name="project_create"),
    path("projects/<int:pk>/", ProjectPage.as_view(), name="project_edit"),
    path("projects/<int:pk>/delete/", ProjectDeletePage.as_view(), name="project_delete"),
    path("addresses/", AddressList.as_view(), name="address_list"),
    path("addresses/new/", AddressPage.as_view(), name="address_create"),
    path("addresses/<int:pk>/", AddressPage.as_view(), name="address_edit"),
    path("addresses/<int:pk>/delete/", AddressDeletePage.as_view(), name="address_delete"),
    path("employees/", EmployeeList.as_view(), name="employee_list"),
    path("employees/new/", EmployeePage.as_view(), name="employee_create"),
    path("employees/<int:pk>/", EmployeePage.as_view(), name="employee_edit"),
    path("employees/<int:pk>/delete/", EmployeeDeletePage.as_view(), name="employee_delete"),
    path("users/", UserList.as_view(), name="user_list"),
    path("users/new/", UserCreatePage.as_view(), name="user_create"),
    path("users/<int:pk>/", UserPage.as_view(), name="user_edit"),
    path("users/<int:pk>/password/", UserPasswordPage.as_view(), name="user_password"),
    path("audit/", AuditPage.as_view(), name="audit"),
]
